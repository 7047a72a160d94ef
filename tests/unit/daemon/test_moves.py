"""Manifests that are moved, renamed, split and broken on the way: what keeps its identity is never deleted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectState
from tests.unit.daemon.test_cycle import ROOT, WEB, World
from tests.unit.planning.building import claim, vm

OTHER = vm("other") + claim("other-root")
VM_TEXT, CLAIM_TEXT = vm("web"), claim("web-root")
BOTH = VM_TEXT + CLAIM_TEXT


def pushed(world: World, files: Mapping[str, str]) -> CycleReport:
    world.remote.commit({"other.yaml": OTHER, **files}, "change")
    return world.cycle.run(Wake(fetch=True))


@pytest.fixture
def world() -> World:
    made = World()
    pushed(made, {"web.yaml": BOTH})
    made.settle()
    return made


def untouched(world: World, report: CycleReport) -> bool:
    """Nothing was done, or is about to be, to the VM and its disk."""
    assert report.plan is not None
    planned = {change.key for change in report.plan.changes} | {c.key for h in report.plan.held for c in h.changes}
    done = {applied.change.key for applied in report.record.applied}
    return (
        not ({WEB, ROOT} & (planned | done))
        and world.host.state.domains["default_web"].boots == 1
        and not world.host.state.trash
    )


@pytest.mark.parametrize(
    "files",
    [
        {"vms/prod/web.yaml": BOTH},
        {"web.yml": BOTH},
        {"vms/web.yaml": VM_TEXT, "disks/web.yaml": CLAIM_TEXT},
        {"web.yaml": CLAIM_TEXT + VM_TEXT},
        {"web.yaml": f"# moved\n{BOTH}"},
    ],
)
def test_a_manifest_that_is_moved_in_one_commit_is_the_same_object(world: World, files: dict[str, str]) -> None:
    assert untouched(world, pushed(world, files))


@pytest.mark.parametrize("name", ["Web", "web_", "web, namespace: ../default"])
def test_a_slip_of_the_pen_in_a_name_deletes_nothing(world: World, name: str) -> None:
    """No object can have that name, so nobody knows which one it was to be."""
    misspelt = VM_TEXT.replace("{name: web,", f"{{name: {name},", 1)
    assert misspelt != VM_TEXT
    report = pushed(world, {"web.yaml": misspelt + CLAIM_TEXT})
    assert untouched(world, report)
    assert {problem.code for problem in report.problems} == {"name-invalid"}


def test_added_at_the_new_place_first_it_is_two_and_then_one(world: World) -> None:
    """Both files declare it: nobody knows which one counts, so it is held as it was."""
    report = pushed(world, {"web.yaml": BOTH, "new/web.yaml": BOTH})
    assert untouched(world, report)
    assert {problem.code for problem in report.problems} == {"object-duplicate"}
    assert untouched(world, pushed(world, {"new/web.yaml": BOTH}))
    assert {s.key: s.state for s in world.cycle.status()}[WEB] is ObjectState.READY


@pytest.mark.parametrize(
    "broken",
    [
        VM_TEXT.replace("bus: virtio", "bus: virtoi") + CLAIM_TEXT,
        BOTH + "\n- : [",
        VM_TEXT.replace("runStrategy", "runStrategyy") + CLAIM_TEXT,
        "\t" + BOTH,
        "\x00",
    ],
    ids=["a bad value", "half of it is no YAML", "a bad field", "a tab", "no text"],
)  # fmt: skip
def test_moved_and_broken_at_once_it_counts_as_there(world: World, broken: str) -> None:
    report = pushed(world, {"new/web.yaml": broken})
    assert untouched(world, report)
    assert report.problems
    assert untouched(world, pushed(world, {"new/web.yaml": BOTH}))


def test_removed_in_one_revision_and_added_in_the_next_it_comes_back_with_its_disk(world: World) -> None:
    content = {v.content for v in world.host.state.volumes.values() if v.name.startswith("default_web-root")}
    pushed(world, {})
    world.settle()
    assert WEB.name not in {key.name for key in world.engine.observe(None).objects}
    pushed(world, {"new/web.yaml": BOTH})
    world.settle()
    assert {v.content for v in world.host.state.volumes.values() if v.name.startswith("default_web-root")} == content
    assert {entry.item.key.kind for entry in world.host.state.trash.values()} == {"VirtualMachine"}


def test_two_commits_that_are_seen_at_once_are_one_move(world: World) -> None:
    world.remote.commit({"other.yaml": OTHER}, "remove")
    assert untouched(world, pushed(world, {"new/web.yaml": BOTH}))


def test_another_name_is_another_vm_and_the_plan_says_that_it_looks_renamed(world: World) -> None:
    renamed = VM_TEXT.replace("name: web,", "name: www,") + CLAIM_TEXT
    report = pushed(world, {"web.yaml": renamed})
    assert [(a.change.key, str(a.change.action)) for a in report.record.applied] == [(WEB, "delete")]
    assert report.plan is not None
    (entry,) = report.plan.blocked
    assert entry.key == ObjectKey("VirtualMachine", "default", "www")
    assert entry.waiting
    assert entry.by.endswith(
        f"is still used by {WEB}, which leaves the repository; it looks renamed from default/web and keeps its disks"
    )
    content = {v.content for v in world.host.state.volumes.values() if v.name.startswith("default_web-root")}
    world.settle()
    names = {key.name for key in world.engine.observe(None).objects if key.kind == "VirtualMachine"}
    assert names == {"www", "other"}
    assert world.host.state.domains["default_www"].boots == 1
    assert {v.content for v in world.host.state.volumes.values() if v.name.startswith("default_web-root")} == content
    assert [entry.item.key for entry in world.host.state.trash.values()] == [WEB]
