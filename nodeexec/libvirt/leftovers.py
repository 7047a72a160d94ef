"""Sweeping up after a gitvirt that was killed in the middle of a step: half-made files that nobody will come back to. And what a pool that was
full did not take is made up for: entries of its register.

What a killed process began is done again from its beginning, under the same names. That clears up by itself, unless Git changed
meanwhile and the thing is not wanted any more. Volumes that were made and are named by nobody are objects (`LeftBehind`). Only what is gitvirt's own by its place, and in nobody's hands, is removed; never
a volume with somebody's data, never anything in the trash that counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libvirt
import structlog

from nodeexec.libvirt.imports import Imports
from nodeexec.libvirt.marks import to_json
from nodeexec.libvirt.observe import Observer, readable_pools
from nodeexec.libvirt.pool_lock import quiet
from nodeexec.libvirt.pools import Pool, PoolUnreadableError
from nodeexec.libvirt.trash import remove_unfinished
from nodeexec.libvirt.volume_files import UNFINISHED, VolumeError, list_names, marks_of
from nodeexec.libvirt.volume_marks import kind_of
from nodeexec.libvirt.volume_sidecars import UNFINISHED_SIDECAR, registered, sidecar_directory, write_sidecar_in_quiet
from reconciler.model.errors import EngineError
from reconciler.model.policy import Policy

_log = structlog.get_logger("gitvirt.libvirt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Sweeps the pools that gitvirt works with. What cannot be swept now is left for the next time."""

    policy: Policy
    observer: Observer
    imports: Imports

    def sweep(self) -> None:
        """Remove what is left over in the pools."""
        try:
            pools = tuple(readable_pools(self.observer.pools()))
        except (EngineError, libvirt.libvirtError) as error:
            _log.debug("leftovers.not_swept", error=str(error))
            return
        for pool in pools:
            removed: list[str] = []
            registered: list[str] = []
            try:
                removed += self._unfinished(pool)
                registered += self._unregistered(pool)
            except (OSError, ValueError, VolumeError, PoolUnreadableError, EngineError, libvirt.libvirtError) as error:
                _log.debug("leftovers.not_swept", pool=pool.name, error=str(error))
            if removed:
                _log.info("leftovers.removed", pool=pool.name, names=sorted(removed))
            if registered:
                _log.info("volumes.registered", pool=pool.name, names=sorted(registered))

    def _unregistered(self, pool: Pool) -> Iterator[str]:
        """Volumes of claims of ours that the register does not know. It has what stands on the volume itself."""
        with quiet(pool) as is_quiet:
            for name in sorted(set(list_names(pool)) - set(registered(pool))) if is_quiet else ():
                marks = marks_of(pool, name)
                if marks is not None and marks.marks.owner == self.policy.owner and kind_of(marks):
                    write_sidecar_in_quiet(pool, name, to_json(marks), durable=False)
                    yield name

    def _unfinished(self, pool: Pool) -> Iterator[str]:
        """Files and directories beside the volumes, when nobody makes anything there."""
        with quiet(pool) as is_quiet:
            if not is_quiet:
                return
            for base, ending in (
                (pool.existing_private("incoming"), UNFINISHED),
                (sidecar_directory(pool), UNFINISHED_SIDECAR),
            ):
                for path in base.iterdir() if base is not None else ():
                    if path.name.endswith(ending) and path.is_file():
                        path.unlink()
                        yield path.name
            yield from self.imports.remove_finished(pool)
            yield from remove_unfinished(pool, self.policy.owner)
