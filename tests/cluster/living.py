"""A daemon's cycle over a cluster: a repository in memory, and turns until nothing is due."""

from __future__ import annotations

import time
from queue import Empty, Queue
from threading import Thread

from nodeexec.kubevirt.engine import KubevirtEngine
from reconciler.daemon.clock import SystemClock
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.threads import ThreadWorkers
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.status import ObjectStatus
from reconciler.ports import EVERYTHING
from tests.contract.builders import digest
from tests.simulation.repository import MemoryJournal, MemorySource, Remote


class Living:
    """See the module. ``engine`` is closed by whoever made it."""

    def __init__(self, engine: KubevirtEngine, policy: Policy) -> None:
        clock = SystemClock()
        self.remote, self.journal = Remote(), MemoryJournal()
        self.cycle = Cycle(
            sources={"": MemorySource(self.remote, clock)},
            engine=engine,
            journal=self.journal,
            clock=clock,
            workers=ThreadWorkers(2),
            policy=policy,
            digest=digest,
        )
        self._engine = engine
        self._events: Queue[ObjectKey] = Queue()
        self._listens = False

    def commit(self, text: str) -> CycleReport:
        """One more revision, of one file, and the cycle that begins with it."""
        self.remote.commit({"all.yaml": text}, "change")
        report = self.cycle.run(Wake(fetch=True))
        if not self._listens:
            Thread(target=self._listen, daemon=True).start()
            self._listens = True
        return report

    def _listen(self) -> None:
        for key in self._engine.events():
            self._events.put(key)

    def turn(self) -> Plan:
        """What a loop does: a cycle for what events told, or for what is due."""
        report = self.cycle.report
        assert report is not None
        wait_s = 0.2 if report.retry_after_s is None else min(report.retry_after_s, 0.2)
        time.sleep(wait_s)
        keys = set()
        while True:
            try:
                keys.add(self._events.get_nowait())
            except Empty:
                break
        report = self.cycle.run(Wake(keys=frozenset(keys - {EVERYTHING}), everything=EVERYTHING in keys))
        assert report.plan is not None
        return report.plan

    def status(self, key: ObjectKey) -> ObjectStatus:
        """What is true of one object."""
        return next(one for one in self.cycle.status() if one.key == key)
