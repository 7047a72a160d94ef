"""What is noted of a VM that needs nothing is told as long as it is so, through cycles that are about something else."""

from __future__ import annotations

from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from tests.unit.daemon.test_cycle import WEB, World, running
from tests.unit.planning.building import claim, vm

DB = ObjectKey("VirtualMachine", "default", "db")


def told(world: World) -> tuple[str, str]:
    """The VM's status and message, which is the note of the plan."""
    (web,) = [status for status in world.cycle.status() if status.key == WEB]
    report = world.cycle.report
    assert report is not None
    assert report.plan is not None
    assert (WEB in {note.key for note in report.plan.notes}) is bool(web.message)
    return web.printable_status, web.message


def test_a_note_is_told_until_it_is_not_so_any_more() -> None:
    world = running(World())
    world.host.pause_guest(WEB)
    world.settle()
    paused = ("Paused", "the guest is paused, not by gitvirt; `gitvirt start` resumes it")
    assert told(world) == paused
    world.commit(vm("web") + claim("web-root") + vm("db") + claim("db-root"))
    world.cycle.run(Wake(fetch=True))
    world.settle()
    assert DB in {status.key for status in world.cycle.status()}
    assert told(world) == paused
    world.host.resume_guest(WEB)
    world.settle()
    assert told(world) == ("Running", "")
