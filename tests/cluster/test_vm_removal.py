"""KubeVirt takes DataVolumes of a VM's dataVolumeTemplates into its ownership again and again: none goes with a VM that is deleted."""

from __future__ import annotations

from nodeexec.kubevirt.kinds import DATA_VOLUME, VM
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from reconciler.model.resolved import ResolvedVm
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.site import ClusterSite
from tests.cluster.test_engine import made
from tests.contract.builders import create, delete, update

_TEMPLATE = {
    "metadata": {"name": "root"},
    "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "16Mi"}}}},
}


def adopting(site: ClusterSite) -> None:
    """virt-controller's part: a disk of a template that belongs to nobody is its VM's, unless that is being deleted."""
    vm, disk = site.hands.get(VM, site.namespace, "web"), site.hands.get(DATA_VOLUME, site.namespace, "root")
    if vm is None or disk is None or vm["metadata"].get("deletionTimestamp") or disk["metadata"].get("ownerReferences"):
        return
    owner = {"apiVersion": "kubevirt.io/v1", "kind": VM, "name": "web", "uid": vm["metadata"]["uid"]}
    owners = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    site.hands.patch(DATA_VOLUME, site.namespace, "root", {"metadata": {"ownerReferences": owners}})


def adopted(site: ClusterSite, front: Front) -> tuple[ResolvedVm, LiveVm]:
    """A VM whose disk KubeVirt holds fast."""
    root = site.data_volume("root")
    made(site, root)
    vm = site.vm("web", disks={"root": root}, templates=(_TEMPLATE,))
    made(site, vm)
    front.reacts = lambda: adopting(site)
    adopting(site)
    live = site.look(vm.key)
    assert isinstance(live, LiveVm)
    return vm, live


def owners(site: ClusterSite) -> list[str]:
    """Who the disk belongs to."""
    disk = site.hands.get(DATA_VOLUME, site.namespace, "root")
    assert disk is not None
    return [one["uid"] for one in disk["metadata"].get("ownerReferences") or ()]


def test_a_disk_that_is_taken_again_at_once_does_not_go_with_its_vm(site: ClusterSite, front: Front) -> None:
    _, live = adopted(site, front)
    assert len(owners(site)) == 1
    outcome = site.engine.apply(delete(live))
    assert outcome.result is Result.APPLIED, outcome
    assert site.hands.get(VM, site.namespace, "web") is None
    assert owners(site) == []


def test_what_was_interrupted_is_ended_before_the_vm_is_made_anew(site: ClusterSite, front: Front) -> None:
    vm, live = adopted(site, front)
    front.plan("PATCH .*datavolumes", 503)
    assert site.engine.apply(delete(live)).result is Result.RETRY
    held = site.hands.get(VM, site.namespace, "web")
    assert held is not None
    assert held["metadata"]["deletionTimestamp"]
    assert len(owners(site)) == 1
    going = site.look(vm.key)
    assert going is not None
    assert [one.path for one in site.engine.compare(vm, going)] == ["metadata.deletionTimestamp"]
    assert site.engine.apply(update(vm, going)).result is Result.APPLIED
    assert owners(site) == []
    assert site.engine.apply(create(vm)).result is Result.APPLIED
    again = site.hands.get(VM, site.namespace, "web")
    assert again is not None
    assert owners(site) == [again["metadata"]["uid"]]


def test_a_disk_that_no_watch_told_of_yet_does_not_go_with_its_vm(site: ClusterSite, front: Front) -> None:
    root = site.data_volume("root")
    vm = site.vm("web", disks={"root": root}, templates=(_TEMPLATE,))
    live = made(site, vm)
    front.is_silent = True
    assert root.document is not None
    site.hands.create(dict(root.document.body))
    adopting(site)
    assert len(owners(site)) == 1
    assert site.engine.apply(delete(live)).result is Result.APPLIED
    assert site.hands.get(VM, site.namespace, "web") is None
    assert owners(site) == []


def test_what_kubevirt_writes_meanwhile_is_no_obstacle(site: ClusterSite, front: Front) -> None:
    _, live = adopted(site, front)
    numbers = iter(range(2))

    def writes_too() -> None:
        if next(numbers, None) is not None:
            site.hands.patch(VM, site.namespace, "web", {"metadata": {"labels": {"seen": str(len(front.seen))}}})
        adopting(site)

    front.plan("PATCH .*virtualmachines", 409)
    front.reacts = writes_too
    assert site.engine.apply(delete(live)).result is Result.APPLIED
    assert owners(site) == []


def test_a_deletion_that_was_begun_is_known_as_ours_when_the_vm_is_declared_again(
    site: ClusterSite, front: Front
) -> None:
    vm, _ = adopted(site, front)
    site.hands.run_instance(site.namespace, "web")
    running = wait_until(lambda: (found := site.caught_up(vm.key)) and found.running is not None and found, "it runs")
    assert site.engine.apply(delete(running)).result is Result.PROGRESSING
    halted = wait_until(
        lambda: site.engine.compare(vm, site.caught_up(vm.key)) and site.caught_up(vm.key), "it is stopped"
    )
    (difference,) = site.engine.compare(vm, halted)
    assert (difference.path, difference.before, difference.refused) == ("spec.runStrategy", "Halted", "")
    assert site.engine.apply(update(vm, halted)).result is Result.APPLIED
    again = site.hands.get(VM, site.namespace, "web")
    assert again is not None
    assert again["spec"]["runStrategy"] == "Always"
    assert "gitvirt.io/stopping" not in again["metadata"]["annotations"]


def test_an_answer_that_comes_after_the_news_that_the_vm_is_gone_does_not_bring_it_back(
    site: ClusterSite, front: Front
) -> None:
    """Else its disks would be in use by it until all is listed anew."""
    root = site.data_volume("root")
    vm = site.vm("web", disks={"root": root})
    disk, live = made(site, root), made(site, vm)
    theirs = ["kubevirt.io/virtualMachineControllerFinalize"]
    site.hands.patch(VM, site.namespace, "web", {"metadata": {"finalizers": theirs}})

    def is_let_go() -> None:
        going = site.hands.get(VM, site.namespace, "web")
        if going is None or not going["metadata"].get("deletionTimestamp") or going["metadata"]["finalizers"] != theirs:
            return
        site.hands.patch(VM, site.namespace, "web", {"metadata": {"finalizers": None}})
        wait_until(lambda: site.engine._caches.find(vm.key) is None, "the watch tells of it")

    front.reacts = is_let_go
    site.engine.apply(delete(live))
    assert site.hands.get(VM, site.namespace, "web") is None
    assert site.look(vm.key) is None
    assert site.engine.apply(delete(disk)).result is not Result.RETRY
    (item,) = site.engine.observe(None).trash
    assert item.key == root.key
