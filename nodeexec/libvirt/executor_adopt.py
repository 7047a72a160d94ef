"""Taking an existing domain over, and giving it back: marks are written, and nothing else is touched."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.adopted import ADOPTED, adoption_data, adoption_of
from nodeexec.libvirt.domains import DomainReading, Domains
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.naming import domain_name, volume_name
from nodeexec.libvirt.new_marks import marks_for
from nodeexec.libvirt.observe_volumes import VolumeReader
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.survey import Survey
from nodeexec.libvirt.volume_files import VolumeFile, read_volume, write_marks
from nodeexec.libvirt.volume_marks import adopted_marks
from reconciler.model.adoption import Adoption, Takeover
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState, RunHistory
from reconciler.model.resolved import ResolvedVolume
from reconciler.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopter:
    """Writes and takes off the marks of adopted domains and their volumes."""

    policy: Policy
    clock: Clock
    domains: Domains
    pools: Pools
    volumes: VolumeReader
    survey: Survey
    boot_id: str

    def adopt(self, takeover: Takeover, steps: Steps) -> Outcome:
        """See `Engine.adopt`. The volumes come first: what ends in the middle is asked for again as a whole.

        Raises:
            ApplyEndedError: it moved, is gone, or is not to be had.
            VolumeError, PoolUnreadableError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        adoption, revision = takeover.adoption, takeover.revision
        with self.domains.lock(adoption.domain):
            reading = self._unowned(adoption, takeover.expected)
            formats = {(claim.namespace, claim.claim): claim.format for claim in adoption.claims.values()}
            for claim in takeover.claims:
                self._adopt_volume(claim, formats[claim.key.namespace, claim.key.name], revision, steps)
            own = marks_for(takeover.wanted, revision, None, policy=self.policy, now=self.clock.now())
            is_on = reading.power is not PowerState.OFF
            marks = DomainMarks(
                marks=own,
                # It ran before, whatever it does now: a VM that never ran would be started by some run strategies.
                history=RunHistory(runs=1),
                boot_id=self.boot_id if is_on else "",
                extra={ADOPTED: adoption_data(adoption)},
            )
            steps.do("wrote marks", lambda: self.domains.write_marks(reading.handle, marks))
            self.domains.read(reading.handle)
        return steps.outcome()

    def release_volumes(self, reading: DomainReading, steps: Steps) -> None:
        """Take the marks off the volumes that came with an adopted domain.

        Raises:
            VolumeError, PoolUnreadableError, OSError, libvirt.libvirtError: a pool refuses.
        """
        adoption = adoption_of(reading.marks)
        for claim in adoption.claims.values() if adoption is not None else ():
            pool = self.pools.read(claim.pool)
            if pool is None:
                continue
            name = self.volumes.adopted_name(pool, ObjectKey("PersistentVolumeClaim", claim.namespace, claim.claim))
            if name is not None:
                self._release_volume(pool, name, steps)

    def _unowned(self, adoption: Adoption, expected: str) -> DomainReading:
        handle = self.domains.find(adoption.domain)
        reading = self.domains.read(handle) if handle is not None else None
        if reading is None:
            raise ApplyEndedError(Result.CONFLICT, f"domain {adoption.domain} is gone")
        if reading.marks is not None:
            raise ApplyEndedError(Result.REFUSED, f"domain {adoption.domain} is owned already")
        usual = domain_name(adoption.key)
        if usual != adoption.domain and self.domains.find(usual) is not None:
            raise ApplyEndedError(Result.REFUSED, f"there is a domain {usual} too, which has the VM's usual name")
        live = self.survey.adopted(adoption)
        if live is None or live.fingerprint != expected:
            raise ApplyEndedError(
                Result.CONFLICT, f"domain {adoption.domain} changed meanwhile; look at it again and repeat"
            )
        return reading

    def _adopt_volume(self, claim: ResolvedVolume, format: str, revision: str, steps: Steps) -> None:
        pool = self.pools.require(claim.pool)
        name = claim.adopt or volume_name(claim.key.namespace, claim.key.name, format)
        file = read_volume(pool, name)
        if file is None:
            raise ApplyEndedError(Result.REFUSED, f"{pool.target / name} is not there")
        if isinstance(file.marks, DomainMarks) and file.marks.marks.owner != self.policy.owner:
            raise ApplyEndedError(Result.REFUSED, f"{file.path} belongs to {file.marks.marks.owner!r}")
        if self._is_ours(file):
            return
        own = marks_for(claim, revision, None, policy=self.policy, now=self.clock.now())
        marks = adopted_marks(own, claim, format)
        steps.do(f"wrote marks on {name}", lambda: write_marks(pool, file.path, name, marks))
        self.volumes.learn(pool)

    def _release_volume(self, pool: Pool, name: str, steps: Steps) -> None:
        steps.do(f"took marks off {name}", lambda: write_marks(pool, pool.path(name), name, None))
        self.volumes.learn(pool)

    def _is_ours(self, file: VolumeFile) -> bool:
        return isinstance(file.marks, DomainMarks) and file.marks.marks.owner == self.policy.owner
