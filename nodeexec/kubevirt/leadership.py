"""`reconciler.ports.Leadership` through a Lease, renewed on a thread of its own for as long as it is held."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from nodeexec.kubevirt.lease import Lease
from reconciler.model.errors import EngineError, LockedError

LEASE_DELAYED = "lease.delayed"
LEASE_KEPT = "lease.kept"

_SHORTEST_PAUSE_S = 0.05

_log = structlog.get_logger("gitvirt.lease")


class LeaseLeadership:
    """One replica among several. See `Lease` for who may act when."""

    waits = True

    def __init__(self, lease: Lease) -> None:
        self.identity = lease.identity
        self._lease = lease
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self._tell_lost: Callable[[str], None] = lambda _: None
        self._tell_asked: Callable[[], None] = lambda: None

    @property
    def leader(self) -> str:
        """See `Leadership.leader`."""
        return self._lease.leader

    @property
    def patience_s(self) -> float:
        """Until the next look, or until the holder's time is over when that comes first."""
        return max(_SHORTEST_PAUSE_S, min(self._lease.times.look_s, self._lease.free_in_s))

    def attempt(self) -> bool:
        """See `Leadership.attempt`."""
        if not self._lease.attempt():
            return False
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._keeper.start()
        return True

    def acquire(self) -> None:
        """See `Leadership.acquire`. A holder that renews is seen to live; one that died is waited for."""
        lease, first_free_in_s = self._lease, 0.0
        while not self.attempt():
            if first_free_in_s and lease.free_in_s > first_free_in_s:
                raise LockedError(
                    f"another gitvirt of this owner leads: {lease.leader}. Ask that one (kubectl exec, where it is a pod), or "
                    "stop it first."
                )
            self._stopping.wait(self.patience_s)
            first_free_in_s = max(lease.free_in_s, _SHORTEST_PAUSE_S)

    def is_held(self) -> bool:
        """See `Leadership.is_held`: by the clock, whatever the thread is waiting for."""
        return self._lease.is_held()

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """See `Leadership.when_lost`."""
        with self._lock:
            self._tell_lost, lost = tell, self._lease.lost
        if lost:
            tell(lost)

    def when_asked(self, tell: Callable[[], None]) -> None:
        """See `Leadership.when_asked`: seen with the next renewal, which meets another version of the Lease."""
        with self._lock:
            self._tell_asked = tell

    def pass_on(self) -> None:
        """See `Leadership.pass_on`."""
        self._lease.pass_on()

    def restore(self) -> bool:
        """Nothing stands for it on this machine."""
        return False

    def release(self) -> None:
        """See `Leadership.release`."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._keeper.join()
        try:
            self._lease.give_back()
        except EngineError as fault:
            _log.info(LEASE_KEPT, reason=str(fault))

    def _keep(self) -> None:
        """Renew until told to stop or until it is lost, through every fault."""
        is_late, heard = False, self._lease.asked
        while not self._stopping.wait(self._lease.times.renew_s):
            try:
                self._lease.renew()
                is_late = False
            except EngineError as fault:
                if not is_late and not self.is_held():
                    is_late = True
                    _log.warning(LEASE_DELAYED, reason=str(fault), identity=self.identity)
            with self._lock:
                tell, lost, tell_asked = self._tell_lost, self._lease.lost, self._tell_asked
            if self._lease.asked != heard:
                heard = self._lease.asked
                tell_asked()
            if lost:
                tell(lost)
                return
