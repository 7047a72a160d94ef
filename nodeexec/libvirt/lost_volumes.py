"""Which volumes the last looks found lost, so that their return is noticed, and told to libvirt, which lists a pool only when asked to."""

from __future__ import annotations

import threading

import libvirt
import structlog

from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.pools import Pool, Pools
from reconciler.ports import Workers

_log = structlog.get_logger("gitvirt.libvirt")


class LostVolumes:
    """Kept in memory: of a volume that came back while gitvirt was not running libvirt hears when something needs it."""

    def __init__(self, events: EventStream, pools: Pools, workers: Workers) -> None:
        self._events = events
        self._pools = pools
        self._workers = workers
        self._lock = threading.Lock()
        self._lost: set[tuple[str, str]] = set()

    def lost(self, pool: Pool, volume: str) -> None:
        """A volume was found lost."""
        with self._lock:
            self._lost.add((pool.name, volume))
        self._events.expect_back(pool.path(volume))

    def found(self, pool: Pool, volume: str) -> None:
        """A volume is there."""
        with self._lock:
            if (pool.name, volume) not in self._lost:
                return
            self._lost.remove((pool.name, volume))
        self._workers.background(f"refresh pool {pool.name}", lambda: self._refresh(pool))

    def _refresh(self, pool: Pool) -> None:
        try:
            self._pools.refresh(pool)
        except libvirt.libvirtError as error:
            _log.debug("pool.not_refreshed", pool=pool.name, error=str(error))
