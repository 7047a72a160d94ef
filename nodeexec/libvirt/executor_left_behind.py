"""Removing generated volumes that have outlived their domain."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.observe import Observer
from nodeexec.libvirt.pools import Pools
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.volume_sidecars import forget_sidecar
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehindChanges:
    """Applies one removal: nothing else is ever done to such a volume."""

    domains: Domains
    index: DomainIndex
    observer: Observer
    pools: Pools

    def apply(self, change: Change, steps: Steps) -> Outcome:
        """Re-observe, with its VM kept from being made or changed meanwhile, then remove the file.

        Raises:
            ApplyEndedError: the change ends early.
            PoolUnreadableError, OSError, libvirt.libvirtError: as the parts say.
        """
        if change.action is not Action.DELETE:
            raise ApplyEndedError(Result.REFUSED, f"{change.key} is only ever removed")
        live = self.observer.left_behind(change.key)
        if live is None or live.attached_to is None:
            return steps.outcome(reason=f"{change.key} is gone, or in use again")
        with self.domains.lock(self.domains.name(live.attached_to)):
            self.index.refresh(fresh=True)
            live = self.observer.left_behind(change.key)
            if live is None or live.fingerprint != change.expected:
                raise ApplyEndedError(Result.CONFLICT, f"{change.key} changed since it was planned", retry_after_s=1.0)
            pool = self.pools.require(live.pool)
            path = pool.path(live.volume)
            steps.do(f"removed {live.volume}", path.unlink)
            forget_sidecar(pool, live.volume)
            self.pools.refresh(pool)
        return steps.outcome()
