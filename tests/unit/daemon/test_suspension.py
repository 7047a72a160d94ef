"""What halts reconciliation, of everything and of one VM: how long it lasts, and what it survives."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.daemon.suspension import Suspended, SuspensionFile
from reconciler.daemon.wake import Wake
from reconciler.model.moment import Moment
from reconciler.model.power import PowerState, StopReason
from tests.unit.daemon.test_cycle import WEB, World, running

NOW = Moment(boot_id="boot", monotonic_s=50.0, at=datetime(2026, 1, 1, tzinfo=UTC))
HOUR = timedelta(hours=1)


def later(hours: float, *, jump: timedelta = timedelta(), boot_id: str = "boot") -> Moment:
    return Moment(boot_id=boot_id, monotonic_s=50.0 + hours * 3600, at=NOW.at + hours * HOUR + jump)


@pytest.fixture
def file(tmp_path: Path) -> SuspensionFile:
    return SuspensionFile(tmp_path / "key")


def test_everything_stays_suspended_until_it_is_resumed(file: SuspensionFile) -> None:
    file.write(Suspended(by="ann", at=NOW.at, reason="storage"), NOW)
    for now in (later(1e4), later(1, jump=timedelta(days=9999)), later(1, boot_id="next")):
        assert "suspended by ann: storage" in str(file.read(now))
    assert file.clear()
    assert file.read(NOW) is None
    assert not file.clear()


def test_for_a_time_is_that_time_whatever_the_clock_says(file: SuspensionFile) -> None:
    file.write(Suspended(by="ann", at=NOW.at, until=NOW.at + 4 * HOUR), NOW)
    assert file.read(later(3.9)) is not None
    assert file.read(later(4.1)) is None
    for jump in (timedelta(days=30), timedelta(days=-30)):
        assert file.read(later(3.9, jump=jump)) is not None
        assert file.read(later(4.1, jump=jump)) is None
    assert file.read(later(4.1, boot_id="next")) is None
    assert file.read(later(3.9, boot_id="next")) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "\x00" * 100, '{"by": "ann"}', '{"by": "a", "at": "x", "reason": "", "until": null}',
     '{"by": "a", "at": "2026-01-01", "reason": "", "until": "2026-01-01T00:00:00+00:00", "until_monotonic_s": "x", "boot_id": "boot"}',
     '{"by": "a", "at": "2026-01-01", "reason": "", "until": "2026-01-01T00:00:00"}'],
)  # fmt: skip
def test_a_file_that_makes_no_sense_halts(file: SuspensionFile, tmp_path: Path, text: str) -> None:
    (tmp_path / "key.suspended").write_text(text)
    assert "damaged" in str(file.read(NOW))


def test_one_of_an_older_gitvirt_is_read(file: SuspensionFile, tmp_path: Path) -> None:
    body = {"by": "ann", "at": NOW.at.isoformat(), "reason": "", "until": (NOW.at + HOUR).isoformat()}
    (tmp_path / "key.suspended").write_text(json.dumps(body))
    assert file.read(later(0.5)) is not None
    assert file.read(later(1.5)) is None


def suspended(world: World, hours: float) -> None:
    until = world.clock.now() + hours * HOUR if hours else None
    world.engine.mark(WEB, override=None, suspended="by ann", suspended_until=until)
    world.cycle.run(Wake(keys=frozenset({WEB})))


def is_running(world: World) -> bool:
    return world.host.state.domains["default_web"].power is PowerState.RUNNING


def test_a_vm_is_left_alone_for_its_time_and_no_jump_of_the_clock_ends_it() -> None:
    world = running(World())
    suspended(world, 4)
    world.host.end_guest(WEB, StopReason.DESTROYED)
    for jump in (30 * 86400.0, -60 * 86400.0):
        world.clock.jump(jump)
        world.cycle.run(Wake(keys=frozenset({WEB})))
        world.cycle.run(Wake(everything=True))
        assert not is_running(world)
    world.restart()
    world.clock.advance(3.9 * 3600)
    world.cycle.run(Wake(fetch=True, everything=True))
    assert not is_running(world)
    world.clock.advance(0.2 * 3600)
    world.cycle.run(Wake(everything=True))
    assert is_running(world)


def test_without_a_time_it_lasts_until_it_is_resumed() -> None:
    world = running(World())
    suspended(world, 0)
    world.host.end_guest(WEB, StopReason.DESTROYED)
    world.clock.advance(400 * 86400.0)
    world.restart()
    world.cycle.run(Wake(fetch=True, everything=True))
    assert not is_running(world)


def test_suspending_touches_no_guest() -> None:
    world = running(World())
    before = world.host.state.domains["default_web"]
    suspended(world, 4)
    after = world.host.state.domains["default_web"]
    assert (after.power, after.boots, after.running, after.stored) == (
        before.power,
        before.boots,
        before.running,
        before.stored,
    )
