"""Trash that expires, over the real cycle: after its time, never before it, whatever the clocks and the daemon do."""

from __future__ import annotations

import pytest

from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.revision import SourceState
from tests.unit.daemon.test_cycle import World
from tests.unit.planning.building import claim

DATA = ObjectKey("PersistentVolumeClaim", "default", "data")
DAY_S = 86400.0
BOTH, ONE = claim("data") + claim("other"), claim("other")


@pytest.fixture
def world() -> World:
    """A claim in the trash, where trash expires after a week."""
    made = World(trash_expire_after_s=7 * DAY_S)
    for text in (BOTH, ONE):
        made.commit(text)
        made.cycle.run(Wake(fetch=True))
        made.settle()
    look(made)
    return made


def look(world: World) -> None:
    world.cycle.run(Wake(everything=True))


def live_for(world: World, days: float) -> None:
    """Time in which the daemon looks now and then, as it does."""
    for _ in range(int(days * 4)):
        world.clock.advance(DAY_S / 4)
        look(world)


def trash(world: World) -> set[ObjectKey]:
    return {entry.item.key for entry in world.host.state.trash.values()}


def test_it_is_destroyed_when_its_time_is_over_and_the_journal_tells(world: World) -> None:
    live_for(world, 6.9)
    assert trash(world) == {DATA}
    live_for(world, 0.5)
    assert trash(world) == set()
    (told,) = [entry for entry in world.told() if entry[0].startswith("TrashItem/default/")]
    assert told[1:] == ("expiry", "applied")
    assert DATA in {a.change.key for r in world.journal.records for a in r.applied}
    assert world.cycle.report is not None
    assert world.cycle.report.plan is not None
    assert world.cycle.report.plan.changes == ()


def test_a_clock_that_jumps_destroys_nothing(world: World) -> None:
    live_for(world, 1)
    world.clock.jump(365 * DAY_S)
    for _ in range(3):
        look(world)
        world.clock.advance(60.0)
    assert trash(world) == {DATA}
    world.restart()
    look(world)
    assert trash(world) == {DATA}
    live_for(world, 5.5)
    assert trash(world) == {DATA}
    live_for(world, 1)
    assert trash(world) == set()


def test_a_daemon_that_begins_anew_and_a_host_that_reboots_go_on_counting(world: World) -> None:
    live_for(world, 3)
    world.restart()
    live_for(world, 2)
    world.host.reboot()
    world.clock.jump(30 * DAY_S)
    live_for(world, 1)
    assert trash(world) == {DATA}
    live_for(world, 2)
    assert trash(world) == set()


def test_a_time_that_is_set_now_counts_from_now() -> None:
    world = World()
    for text in (BOTH, ONE):
        world.commit(text)
        world.cycle.run(Wake(fetch=True))
        world.settle()
    live_for(world, 30)
    world.policy = World(trash_expire_after_s=7 * DAY_S).policy
    world.restart()
    look(world)
    live_for(world, 6)
    assert trash(world) == {DATA}
    live_for(world, 2)
    assert trash(world) == set()


def test_a_revert_at_the_last_moment_takes_the_disk_back(world: World) -> None:
    content = {v.content for v in world.host.state.volumes.values()} | {
        entry.volume.content for entry in world.host.state.trash.values() if entry.volume
    }
    live_for(world, 6.9)
    world.clock.advance(DAY_S)
    world.commit(BOTH)
    world.cycle.run(Wake(fetch=True, everything=True))
    world.settle()
    live_for(world, 10)
    assert trash(world) == set()
    assert {v.content for v in world.host.state.volumes.values()} == content


def test_while_the_remote_cannot_be_looked_at_nothing_expires(world: World) -> None:
    world.remote.trouble = SourceState.UNREACHABLE
    world.cycle.run(Wake(fetch=True))
    live_for(world, 8)
    assert trash(world) == {DATA}
    world.remote.trouble = SourceState.READY
    world.cycle.run(Wake(fetch=True, everything=True))
    assert trash(world) == set()
