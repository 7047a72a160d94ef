"""Objects that annotations keep, over the real cycle: each kind, the disks of a VM that stays, and when an annotation counts."""

from __future__ import annotations

import pytest

from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from tests.unit.daemon.test_cycle import World
from tests.unit.planning.building import claim, vm

OTHER = vm("other") + claim("other-root")
TEMPLATED = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: kept, annotations: {gitvirt.io/prune: PRUNE}}
spec:
  runStrategy: Always
  dataVolumeTemplates:
  - metadata: {name: kept-root}
    spec: {source: {blank: {}}, storage: {resources: {requests: {storage: 1Gi}}}}
  template:
    spec:
      domain: {memory: {guest: 128Mi}, devices: {disks: [{name: root, disk: {bus: virtio}}]}}
      volumes: [{name: root, dataVolume: {name: kept-root}}]
---
"""
NETWORK = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan, annotations: ANNOTATIONS}
spec: {config: '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "br9"}'}
---
"""
DATA_VOLUME = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: blank, annotations: ANNOTATIONS}
spec: {source: {blank: {}}, storage: {resources: {requests: {storage: 1Gi}}}}
---
"""
CLAIM = claim("data").replace("{name: data}", "{name: data, annotations: ANNOTATIONS}")


def pushed(world: World, text: str, *approvals: str) -> CycleReport:
    world.remote.commit({"all.yaml": OTHER + text}, "change", approvals=approvals)
    world.cycle.run(Wake(fetch=True))
    world.settle()
    assert world.cycle.report is not None
    return world.cycle.report


def held(report: CycleReport) -> dict[ObjectKey, str]:
    assert report.plan is not None
    return {change.key: hold.rule for hold in report.plan.held for change in hold.changes}


def owned(world: World) -> set[str]:
    return {f"{key.kind}/{key.name}" for key in world.engine.observe(None).objects if "other" not in key.name}


@pytest.mark.parametrize(
    ("annotations", "rule"),
    [
        ("{gitvirt.io/prune: 'false'}", "prune-disabled"),
        ("{gitvirt.io/prune: confirm}", "prune-confirm"),
        (
            "{gitvirt.io/prune: 'true', argocd.argoproj.io/sync-options: 'PruneLast=true, Prune=false'}",
            "prune-disabled",
        ),
        ("{argocd.argoproj.io/sync-options: Prune=confirm}", "prune-confirm"),
        ("{gitvirt.io/prune: confirm, argocd.argoproj.io/sync-options: Prune=false}", "prune-disabled"),
        ("{kustomize.toolkit.fluxcd.io/prune: Disabled}", "prune-disabled"),
    ],
)
@pytest.mark.parametrize("text", [CLAIM, DATA_VOLUME, NETWORK], ids=["claim", "DataVolume", "network"])
def test_every_kind_is_kept_by_every_annotation(text: str, annotations: str, rule: str) -> None:
    world = World()
    pushed(world, text.replace("ANNOTATIONS", annotations))
    before = owned(world)
    report = pushed(world, "")
    assert list(held(report).values()) == [rule]
    assert owned(world) == before


@pytest.mark.parametrize("prune", ["'false'", "confirm"])
def test_disks_of_a_vm_that_stays_stay_with_it_those_of_its_templates_too(prune: str) -> None:
    world = World()
    pushed(world, TEMPLATED.replace("PRUNE", prune))
    report = pushed(world, "")
    assert {key.name for key in held(report)} == {"kept"}
    assert report.plan is not None
    assert [str(entry.key) for entry in report.plan.blocked] == ["DataVolume/default/kept-root"]
    assert "still uses it" in report.plan.blocked[0].by
    assert {"VirtualMachine/kept", "DataVolume/kept-root"} <= owned(world)
    assert world.host.state.domains["default_kept"].boots == 1


def test_confirmed_by_a_trailer_the_vm_goes_and_its_disks_after_it() -> None:
    world = World()
    pushed(world, TEMPLATED.replace("PRUNE", "confirm"))
    report = pushed(world, "")
    assert report.plan is not None
    (hold,) = report.plan.held
    assert held(pushed(world, "", hold.hold_id)) == {}
    assert not {"VirtualMachine/kept", "DataVolume/kept-root"} & owned(world)
    assert {entry.item.key.name for entry in world.host.state.trash.values()} == {"kept", "kept-root"}


def test_an_annotation_counts_as_it_was_last_applied() -> None:
    world = World()
    plain = CLAIM.replace("ANNOTATIONS", "{}")
    kept = CLAIM.replace("ANNOTATIONS", "{gitvirt.io/prune: 'false'}")
    pushed(world, kept)
    world.remote.commit({"all.yaml": OTHER + plain}, "the annotation goes")
    assert list(held(pushed(world, "")).values()) == ["prune-disabled"]
    pushed(world, plain)
    assert held(pushed(world, "")) == {}
    assert "PersistentVolumeClaim/data" not in owned(world)


def test_an_annotation_that_was_never_applied_does_not_count() -> None:
    world = World()
    pushed(world, CLAIM.replace("ANNOTATIONS", "{}"))
    world.remote.commit({"all.yaml": OTHER + CLAIM.replace("ANNOTATIONS", "{gitvirt.io/prune: 'false'}")}, "annotated")
    assert held(pushed(world, "")) == {}
    assert "PersistentVolumeClaim/data" not in owned(world)


def test_a_value_that_nobody_knows_is_a_problem_and_the_object_stays_as_it_is() -> None:
    world = World()
    pushed(world, CLAIM.replace("ANNOTATIONS", "{gitvirt.io/prune: confirm}"))
    report = pushed(world, CLAIM.replace("ANNOTATIONS", "{gitvirt.io/prune: never}"))
    assert {problem.code for problem in report.problems} == {"annotation-value"}
    assert list(held(pushed(world, "")).values()) == ["prune-confirm"]


def test_what_flux_shall_leave_alone_is_left_alone() -> None:
    world = World()
    said = "{kustomize.toolkit.fluxcd.io/reconcile: disabled}"
    text = claim("data").replace("{name: data}", f"{{name: data, annotations: {said}}}")
    report = pushed(world, text)
    assert list(held(report).values()) == ["report-mode"]
    assert report.plan is not None
    assert "kustomize.toolkit.fluxcd.io/reconcile: disabled" in report.plan.held[0].reason
    assert "PersistentVolumeClaim/data" not in owned(world)
