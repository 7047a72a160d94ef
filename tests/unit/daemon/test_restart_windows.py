"""A restart window over the real cycle: the guest is left alone until it opens, and the cycle wakes for that by itself."""

from __future__ import annotations

from datetime import timedelta

from reconciler.daemon.wake import Wake
from reconciler.model.status import ObjectState
from tests.unit.daemon.test_cycle import WEB, World, running
from tests.unit.planning.building import claim, vm

WINDOWED = (
    vm("web", annotations="{gitvirt.io/restart-policy: Window, gitvirt.io/restart-window: '0 3 * * * for 2h in UTC'}")
    + claim("web-root")
)  # fmt: skip


def boots(world: World) -> int:
    return world.host.state.domains["default_web"].boots


def staged() -> World:
    """A change that waits: the simulated time is midnight, the window opens at three."""
    world = running(World())
    world.commit(WINDOWED.replace("128Mi", "256Mi"))
    world.cycle.run(Wake(fetch=True))
    return world


def test_it_waits_says_when_and_is_restarted_when_the_window_opens() -> None:
    world = staged()
    now = world.clock.now()
    (status,) = [one for one in world.cycle.status() if one.key == WEB]
    assert status.state is ObjectState.STAGED
    assert status.message.endswith(f"; its restart window opens {now:%a %Y-%m-%d} 03:00 UTC")
    assert world.cycle.report is not None
    due_s = world.cycle.report.retry_after_s
    opens = now.replace(hour=3, minute=0, second=0, microsecond=0)
    assert due_s is not None
    assert abs(now + timedelta(seconds=due_s) - opens) < timedelta(seconds=1)
    world.clock.advance(due_s - 1)
    world.cycle.run(Wake(everything=True))
    assert boots(world) == 1
    world.clock.advance(1)
    world.cycle.run(Wake())
    world.settle()
    assert boots(world) == 2
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.READY
    assert [cause for key, cause, _ in world.told() if key == str(WEB)][-1] == "commit"


def test_a_restart_that_began_in_the_window_ends_after_it() -> None:
    world = staged()
    world.clock.advance(5 * 3600 - 1 - world.clock.now().hour * 3600)
    world.cycle.run(Wake(everything=True))
    assert world.host.state.domains["default_web"].off_at is not None
    world.clock.advance(30)
    world.settle()
    assert boots(world) == 2


def test_suspended_nothing_is_restarted_in_the_window() -> None:
    world = staged()
    world.cycle.suspended = "ann: maintenance"
    world.clock.advance(3.5 * 3600)
    world.cycle.run(Wake(everything=True))
    world.clock.advance(60)
    world.cycle.run(Wake(everything=True))
    assert boots(world) == 1


def test_a_window_that_passed_while_the_daemon_was_away_is_gone() -> None:
    world = staged()
    world.clock.advance(5.5 * 3600)
    world.restart()
    world.cycle.run(Wake(fetch=True, everything=True))
    assert boots(world) == 1
