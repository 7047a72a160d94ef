"""Slow told from stuck by the clock: what moves is under way, what stands still is not well."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from nodeexec.kubevirt.health import Health
from nodeexec.kubevirt.kinds import DATA_VOLUME, INSTANCE
from nodeexec.kubevirt.project_volume import live_volume
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, LiveVolume, Observation

KEY = ObjectKey(DATA_VOLUME, "prod", "root")
USER = ObjectKey("VirtualMachine", "prod", "web")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World:
    """Caches, a clock and no events."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.passed_s = 0.0
        self.asked = 0
        self.health = Health(cast("Any", self), cast("Any", self), cast("Any", self))

    def get(self, kind: str, name: tuple[str, str]) -> Mapping[str, Any] | None:
        return self.objects.get((kind, name[1]))

    def find(self, key: ObjectKey) -> Mapping[str, Any] | None:
        return self.get(key.kind, (key.namespace, key.name))

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s

    def look(self, subjects: list[Any]) -> None:
        self.asked += len(subjects)

    def why(self, subjects: Any) -> str:
        del subjects
        return ""

    def seen(self, progress: str, *, after_s: float, created: datetime = START) -> tuple[str, str]:
        """(fault, pending) of a DataVolume that is being imported."""
        self.passed_s += after_s
        document = {
            "metadata": {"name": "root", "namespace": "prod", "creationTimestamp": created.isoformat()},
            "status": {"phase": "ImportInProgress", "progress": progress},
        }
        self.objects[DATA_VOLUME, "root"] = document
        live = live_volume(KEY, document, None, (USER,), host="cluster")
        facts = HostFacts(hostname="cluster")
        found = self.health.judged(Observation(taken_at=self.now(), host=facts, objects={KEY: live})).objects[KEY]
        assert isinstance(found, LiveVolume)
        return found.fault, found.pending


def test_an_import_that_moves_is_slow_and_one_that_stands_still_is_stuck() -> None:
    world = World()
    assert world.seen("10.0%", after_s=0) == ("", "ImportInProgress, 10%")
    for percent in range(11, 15):
        assert world.seen(f"{percent}.0%", after_s=600) == ("", f"ImportInProgress, {percent}%")
    assert world.asked == 0
    assert world.seen("14.0%", after_s=600) == ("", "ImportInProgress, 14%")
    assert world.asked > 0
    assert world.seen("14.0%", after_s=300) == ("Stuck: ImportInProgress does not move (15 min and more)", "")
    assert world.seen("15.0%", after_s=10) == ("", "ImportInProgress, 15%")


def test_without_a_percentage_its_own_times_tell() -> None:
    world = World()
    assert world.seen("N/A", after_s=0, created=START - timedelta(hours=1))[0].startswith("Stuck")
    assert World().seen("N/A", after_s=60)[0] == ""


def test_what_is_judged_alike_is_the_same_object() -> None:
    world = World()
    world.objects[INSTANCE, "web"] = {"metadata": {}, "status": {"phase": "Scheduling"}}
    document = {"metadata": {"name": "root", "namespace": "prod"}, "status": {"phase": "Failed"}}
    live = live_volume(KEY, document, None, (USER,), host="cluster")
    observation = Observation(taken_at=START, host=HostFacts(hostname="cluster"), objects={KEY: live})
    first = world.health.judged(observation).objects[KEY]
    assert isinstance(first, LiveVolume)
    assert first.fault == "Failed"
    assert world.health.judged(observation).objects[KEY] is first
