"""An approval in a commit counts once: not again when the same changes come up again, nor after a restart of the daemon."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.daemon.used_approvals import UsedApprovals
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from tests.unit.daemon.test_cycle import World
from tests.unit.planning.building import claim, vm

pytestmark = pytest.mark.usefixtures("logging_as_before")

NAMES = tuple(f"vm{number}" for number in range(4))
FLEET = "".join(
    vm(name, annotations="{gitvirt.io/restart-policy: Immediate}") + claim(f"{name}-root") for name in NAMES
)
BIGGER = FLEET.replace("128Mi", "256Mi")


def waiting(world: World) -> list[str]:
    """Ids of what waits for a person, as of a full look."""
    plan = world.cycle.run(Wake(fetch=True, everything=True)).plan
    assert plan is not None
    return [hold.hold_id for hold in plan.held]


def boots(world: World) -> set[int]:
    return {world.host.state.domains[f"default_{name}"].boots for name in NAMES}


def the_same_again(world: World) -> None:
    """Long after, somebody brings the same differences about by hand."""
    world.clock.advance(7200)
    for name in NAMES:
        key = ObjectKey("VirtualMachine", "default", name)
        world.host.edit_domain(key, lambda d: replace(d, running=d.running and replace(d.running, memory_mib=128)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "private" / "key.approvals"


@pytest.fixture
def world(file: Path) -> World:
    """Four restarts that wait."""
    made = World()
    made.used_approvals = file
    made.restart()
    made.commit(FLEET)
    made.cycle.run(Wake(fetch=True))
    made.settle()
    made.commit(BIGGER)
    return made


def approve(world: World) -> str:
    """A commit that says so; the id."""
    (hold_id,) = waiting(world)
    world.remote.commit({"all.yaml": BIGGER}, "yes", approvals=(hold_id,))
    return hold_id


@pytest.mark.parametrize("restarts", [False, True])
def test_it_releases_once(world: World, *, restarts: bool) -> None:
    hold_id = approve(world)
    world.cycle.run(Wake(fetch=True))
    world.settle()
    assert boots(world) == {2}
    the_same_again(world)
    if restarts:
        world.restart()
    assert waiting(world) == [hold_id]
    assert boots(world) == {2}


def test_what_has_begun_goes_on_after_a_restart_and_the_approval_is_used_up(world: World, file: Path) -> None:
    hold_id = approve(world)
    world.cycle.run(Wake(fetch=True))
    assert [one for _, one in json.loads(file.read_text())["used"]] == [hold_id]
    assert boots(world) == {1}
    world.restart()
    world.settle()
    assert boots(world) == {2}
    the_same_again(world)
    assert waiting(world) == [hold_id]


def test_one_of_which_nothing_has_begun_counts_after_a_restart(world: World, file: Path) -> None:
    approve(world)
    world.source.fetch()
    world.cycle.plan_now()
    assert not file.exists()
    world.restart()
    world.cycle.run(Wake(everything=True))
    world.settle()
    assert boots(world) == {2}


def test_while_the_file_cannot_be_read_no_commit_releases_anything(
    world: World, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold_id = approve(world)
    file.parent.mkdir()
    file.write_text('{"used": [["half of')
    world.restart()
    assert waiting(world) == [hold_id]
    assert "approvals.unreadable" in capsys.readouterr().out
    assert file.read_text() == '{"used": [["half of'
    world.cycle.run(Wake(approvals=frozenset({hold_id})))
    world.settle()
    assert boots(world) == {2}


def test_one_that_cannot_be_written_down_is_logged_and_does_not_count_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = UsedApprovals(tmp_path / ("k" * 255))  # as long as a name may be: its draft has none
    used.note([("commit", "hold")])
    assert used.is_used("commit", "hold")
    assert "approval.not_noted" in capsys.readouterr().out


def test_the_latest_are_kept(file: Path) -> None:
    UsedApprovals(file).note([(f"commit{number}", "hold") for number in range(300)])
    read = UsedApprovals(file)
    assert read.is_used("commit299", "hold")
    assert not read.is_used("commit299", "another")
    assert not read.is_used("commit0", "hold")
