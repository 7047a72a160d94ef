"""From a changed file to the finished plan, on a host where everything is as declared; in a process of its own, prints JSON.

The real source, loading, cycle and planner over an engine that only remembers: what a hypervisor adds is measured elsewhere.

python -m bench.plan_once REPOSITORY STATE [CPUS]

On a host of so few CPUs that a VM has more of them, that is noted with each plan.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.corpus import bring_changes, follow, move_main
from bench.load_once import peak_mb
from nodeexec.libvirt.compare import compare
from nodeexec.libvirt.support import check
from reconciler.daemon.clock import SystemClock
from reconciler.daemon.cycle import Cycle
from reconciler.daemon.file_cache import FileCache
from reconciler.daemon.fingerprint import fingerprint
from reconciler.daemon.key import numbering_digest
from reconciler.daemon.threads import ThreadWorkers
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, LiveObject, Observation
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change, Difference
from reconciler.model.policy import Mode, Policy
from reconciler.model.record import AuditEntry, CycleRecord
from reconciler.model.resolved import Resolved
from reconciler.planning.offline import as_if_live

POLICY = Policy(mode=Mode.ENFORCE, host="bench", host_labels={"kubernetes.io/hostname": "bench"})


class Remembering:
    """An engine whose host is what it was told; it does nothing."""

    name = "remembering"
    is_platform = False
    check = staticmethod(check)

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.live: dict[ObjectKey, LiveObject] = {}
        self.asked_at: tuple[float, float] | None = None

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """What is remembered."""
        asked = None if keys is None else frozenset(keys)
        objects = dict(self.live) if asked is None else {key: self.live[key] for key in asked if key in self.live}
        host = HostFacts(hostname="bench", labels=POLICY.host_labels, cpus=self.cpus)
        return Observation(taken_at=datetime.now(UTC), host=host, objects=objects, asked=asked)

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """As libvirt's engine compares."""
        return compare(wanted, live)

    def apply(self, change: Change) -> Outcome:
        """Remember what is wanted as what is there. The plan is finished when this is called first."""
        self.asked_at = self.asked_at or (time.process_time(), time.perf_counter())
        if change.wanted is not None:
            self.live[change.key] = as_if_live(change.wanted, POLICY, change.revision)
        return Outcome(result=Result.APPLIED)

    def note_disks(self) -> Outcome:
        """They are what is remembered."""
        return Outcome(result=Result.UNCHANGED)

    def document_of(self, live: LiveObject) -> Mapping[str, Any]:
        """Nobody reads it here."""
        return {"key": str(live.key)}


class NoJournal:
    """A journal that keeps nothing, and lacks nothing."""

    def write(self, record: CycleRecord) -> str:
        """Forget it."""
        del record
        return ""

    def lacks(self, keys: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """None."""
        del keys
        return ()

    def news(self) -> tuple[str, ...]:
        """None."""
        return ()

    def standing(self) -> tuple[str, ...]:
        """None."""
        return ()

    def entries(
        self, *, vm: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> Iterable[AuditEntry]:
        """None."""
        del vm, since, limit
        return ()


def measure(repository: Path, state: Path, cpus: int = 0) -> dict[str, list[float]]:
    """From the moved ref to the plan, in seconds of CPU and in seconds that passed, for one change after the other; how long the
    whole cycle took, how much was noted, and the peak of memory.
    """
    source, engine = follow(repository, state), Remembering(cpus)
    cycle = Cycle(
        sources={"": source},
        engine=engine,  # type: ignore[arg-type]  # what a cycle calls is there
        journal=NoJournal(),
        clock=SystemClock(),
        workers=ThreadWorkers(1),
        policy=POLICY,
        digest=numbering_digest(),
        file_cache=FileCache(state / "cache" / "files.sqlite", fingerprint("default"), sys.exit),
    )
    cycle.run(Wake(fetch=True))
    settled = cycle.run(Wake(everything=True)).plan
    assert settled is not None
    assert not settled.changes, f"{len(settled.changes)} changes where all is as declared: {settled.changes[0]}"
    commits = bring_changes(repository, state)
    os.sync()  # what was copied and fetched is not to be waited for when refs are flushed
    gc.collect()
    gc.freeze()
    found: dict[str, list[float]] = {"planned": [], "passed": [], "cycle": [], "notes": [len(settled.notes)]}
    for commit in commits:
        move_main(repository, commit)
        engine.asked_at = None
        used_s, at_s = time.process_time(), time.perf_counter()
        source.fetch()
        report = cycle.run(Wake())
        assert engine.asked_at is not None
        found["planned"].append(engine.asked_at[0] - used_s)
        found["passed"].append(engine.asked_at[1] - at_s)
        found["cycle"].append(time.perf_counter() - at_s)
        (done,) = report.record.applied
        assert [one.path for one in done.change.differences] == ["spec.template.spec.domain.memory.guest"]
        assert report.plan is not None
        assert not report.plan.changes
    return {**found, "peak_mb": [peak_mb()]}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))))
