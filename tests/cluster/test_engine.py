"""The engine against a real API server: what is written, what is read back, and what is left alone."""

from __future__ import annotations

from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, NETWORK, VM
from reconciler.model.live import LiveObject, LiveVm, LiveVolume
from reconciler.model.outcome import Result
from reconciler.model.plan import Impact
from reconciler.model.power import PowerState
from reconciler.model.resolved import Resolved
from tests.cluster.hands import wait_until
from tests.cluster.site import ClusterSite
from tests.cluster.webhooks import through_kubevirt
from tests.contract.builders import create, delete, update

MEMORY = "spec.template.spec.domain.memory.guest"


def made(site: ClusterSite, wanted: Resolved) -> LiveObject:
    """An object that was applied."""
    outcome = site.engine.apply(create(wanted))
    assert outcome.result is Result.APPLIED, outcome
    live = site.look(wanted.key)
    assert live is not None
    return live


def delete_vm(site: ClusterSite, live: LiveObject) -> tuple[str, ...]:
    """A VM that is deleted and gone; what was done."""
    outcome = site.engine.apply(delete(live))
    assert outcome.result is Result.APPLIED, outcome
    assert site.look(live.key) is None
    assert site.hands.get(VM, site.namespace, live.key.name) is None
    return outcome.steps


def served(site: ClusterSite, kind: str, name: str) -> dict[str, Any]:
    """An object as the server has it."""
    found = site.hands.get(kind, site.namespace, name)
    assert found is not None
    return found


def test_a_vm_is_applied_and_observed_without_differences(site: ClusterSite) -> None:
    vm = site.vm("web")
    live = made(site, vm)
    assert isinstance(live, LiveVm)
    assert live.marks is not None
    assert (live.marks.owner, live.marks.revision) == (site.policy.owner, "1" * 40)
    assert live.marks.applied == vm.applied
    assert site.engine.compare(vm, live) == ()
    firmware = served(site, VM, "web")["spec"]["template"]["spec"]["domain"]["firmware"]
    assert firmware == {"uuid": vm.domain.uuid, "serial": vm.domain.serial}
    before = site.writes()
    assert site.engine.apply(update(vm, live)).result is Result.UNCHANGED
    assert site.writes() == before


def test_every_understood_kind_comes_back_as_wanted_in_a_second_life(site: ClusterSite) -> None:
    net, claim, root = site.network("net"), site.claim("data"), site.data_volume("root")
    vm = site.vm("web", disks={"root": root, "data": claim}, nics={"default": net}, user_data="#cloud-config\n")
    for wanted in (net, claim, root, vm):
        assert site.engine.compare(wanted, made(site, wanted)) == ()
    again = site.another_engine()
    try:
        observation = again.observe(None)
        assert observation.unreadable == ()
        assert set(observation.objects) == {net.key, claim.key, root.key, vm.key}
        assert [again.compare(one, observation.objects[one.key]) for one in (net, claim, root, vm)] == [(), (), (), ()]
        volume = observation.objects[claim.key]
        assert isinstance(volume, LiveVolume)
        assert (volume.size_bytes, volume.used_by) == (16 << 20, (vm.key,))
    finally:
        again.close()


def test_what_kubevirt_makes_of_a_vm_is_no_difference_in_another_life(site: ClusterSite) -> None:
    root = site.claim("root")
    vm = site.vm("web", disks={"root": root}, memory="2048Mi")
    for one in (root, vm):
        made(site, one)
    seen = through_kubevirt(served(site, VM, "web"))
    metadata = {name: seen["metadata"][name] for name in ("annotations", "finalizers")}
    site.hands.patch(VM, site.namespace, "web", {"spec": seen["spec"], "metadata": metadata}, manager="virt-api")
    assert served(site, VM, "web")["spec"]["template"]["spec"]["domain"]["memory"]["guest"] == "2Gi"
    again = site.another_engine()
    try:
        live = again.observe([vm.key]).objects[vm.key]
        assert again.compare(vm, live) == ()
        asked = site.vm("web", disks={"root": root}, memory="2048Mi", annotations={"team": "shop"})
        assert again.apply(update(asked, live)).result is Result.APPLIED
        kept = served(site, VM, "web")["spec"]["template"]
        assert kept["spec"]["domain"]["machine"] == {"type": "q35"}
        assert kept["metadata"]["annotations"] == {"kubevirt.io/pci-topology-version": "2"}
    finally:
        again.close()


def test_drift_of_another_manager_is_seen_and_put_right(site: ClusterSite) -> None:
    vm = site.vm("web")
    made(site, vm)
    site.hands.patch(
        VM, site.namespace, "web", {"spec": {"template": {"spec": {"domain": {"memory": {"guest": "128Mi"}}}}}}
    )
    live = wait_until(lambda: site.engine.compare(vm, site.look(vm.key)) and site.look(vm.key), "the drift is seen")
    (drift,) = site.engine.compare(vm, live)
    assert (drift.path, drift.before, drift.after) == (MEMORY, "128Mi", "64Mi")
    refused = site.engine.apply(update(vm, live))
    assert refused.result is Result.FAILED
    assert "kubectl-edit" in refused.reason
    assert "forceConflicts" in refused.reason
    forced = site.another_engine(force_conflicts=True)
    try:
        live = forced.observe([vm.key]).objects[vm.key]
        assert forced.apply(update(vm, live)).result is Result.APPLIED
        assert forced.compare(vm, forced.observe([vm.key]).objects[vm.key]) == ()
    finally:
        forced.close()


def test_a_field_that_left_the_manifest_leaves_the_object(site: ClusterSite) -> None:
    live = made(site, site.vm("web", annotations={"team": "shop", "tier": "web"}))
    vm = site.vm("web", annotations={"team": "shop"})
    assert [d.path for d in site.engine.compare(vm, live)] == ["metadata.annotations.tier"]
    assert site.engine.apply(update(vm, live)).result is Result.APPLIED
    annotations = served(site, VM, "web")["metadata"]["annotations"]
    assert "tier" not in annotations
    assert annotations["team"] == "shop"


def test_what_moved_since_it_was_planned_is_not_written(site: ClusterSite) -> None:
    live = made(site, site.vm("web"))
    site.hands.patch(VM, site.namespace, "web", {"metadata": {"labels": {"by": "hand"}}})
    bigger = site.vm("web", memory="96Mi")
    assert site.engine.apply(update(bigger, live)).result is Result.CONFLICT
    assert served(site, VM, "web")["spec"]["template"]["spec"]["domain"]["memory"]["guest"] == "64Mi"


def test_a_status_that_moved_is_no_obstacle(site: ClusterSite) -> None:
    live = made(site, site.vm("web"))
    site.hands.set_status(VM, site.namespace, "web", {"ready": False})
    assert site.engine.apply(update(site.vm("web", memory="96Mi"), live)).result is Result.APPLIED


def test_a_volume_plugged_in_by_hand_is_shown_and_survives_an_apply(site: ClusterSite) -> None:
    root = site.claim("root")
    made(site, root)
    vm = site.vm("web", disks={"root": root})
    made(site, vm)
    spec = served(site, VM, "web")["spec"]["template"]["spec"]
    spec["domain"]["devices"]["disks"].append({"name": "hot", "disk": {"bus": "scsi"}})
    spec["volumes"].append({"name": "hot", "persistentVolumeClaim": {"claimName": "extra", "hotpluggable": True}})
    change = {
        "spec": {
            "template": {
                "spec": {
                    "domain": {"devices": {"disks": spec["domain"]["devices"]["disks"]}},
                    "volumes": spec["volumes"],
                }
            }
        }
    }
    site.hands.patch(VM, site.namespace, "web", change, manager="virt-api")
    forced = site.another_engine(force_conflicts=True)
    try:
        live = forced.observe([vm.key]).objects[vm.key]
        found = forced.compare(vm, live)
        assert len(found) == 2
        assert all("virtctl" in one.refused for one in found)
        bigger = site.vm("web", disks={"root": root}, memory="96Mi")
        assert forced.apply(update(bigger, live)).result is Result.APPLIED
    finally:
        forced.close()
    after = served(site, VM, "web")["spec"]["template"]["spec"]
    assert [disk["name"] for disk in after["domain"]["devices"]["disks"]] == ["root", "hot"]
    assert after["domain"]["memory"]["guest"] == "96Mi"


def test_a_foreign_object_is_seen_and_refused(site: ClusterSite) -> None:
    vm = site.vm("web")
    site.hands.create(
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": VM,
            "metadata": {"name": "web", "namespace": site.namespace},
            "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {}}}},
        }
    )
    site.engine.observe(None)
    live = wait_until(lambda: site.look(vm.key), "the foreign VM is seen")
    assert live.marks is None
    assert site.engine.apply(create(vm)).result is Result.REFUSED
    assert site.engine.observe(None).foreign_vms == (f"{site.namespace}/web",)


def test_a_copy_of_our_labels_is_not_ours(site: ClusterSite) -> None:
    root = site.data_volume("root")
    made(site, root)
    metadata = served(site, DATA_VOLUME, "root")["metadata"]
    copied = {
        "name": "root",
        "namespace": site.namespace,
        "labels": metadata["labels"],
        "annotations": metadata["annotations"],
    }
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    site.hands.create({"apiVersion": "v1", "kind": CLAIM, "metadata": copied, "spec": spec})
    wait_until(lambda: site.look(root.key) and site.engine.observe(None), "seen")
    assert set(site.engine.observe(None).objects) == {root.key}


def test_a_claim_goes_to_the_trash_and_comes_back_untouched(site: ClusterSite) -> None:
    claim = site.claim("data")
    live = made(site, claim)
    uid = served(site, CLAIM, "data")["metadata"]["uid"]
    assert site.engine.apply(delete(live)).result is Result.APPLIED
    observation = site.engine.observe(None)
    assert observation.objects == {}
    (item,) = observation.trash
    assert (item.key, item.owner, item.size_bytes) == (claim.key, site.policy.owner, 16 << 20)
    assert site.engine.apply(create(claim)).result is Result.FAILED
    back = site.engine.apply(create(claim, restore=item.item))
    assert back.result is Result.APPLIED
    assert served(site, CLAIM, "data")["metadata"]["uid"] == uid
    assert site.engine.compare(claim, site.look(claim.key)) == ()
    assert site.engine.observe(None).trash == ()
    noted = site.claim("data", annotations={"note": "mine"})
    assert site.engine.apply(update(noted, site.look(claim.key))).result is Result.APPLIED


def test_only_emptying_by_name_deletes_a_volume_and_not_one_in_use(site: ClusterSite) -> None:
    root = site.data_volume("root")
    live = made(site, root)
    vm = site.vm("web", disks={"root": root})
    vm_live = made(site, vm)
    assert site.engine.apply(delete(site.look(root.key) or live)).result is Result.RETRY
    delete_vm(site, vm_live)
    assert site.engine.apply(delete(site.look(root.key) or live)).result is Result.APPLIED
    (item,) = site.engine.observe(None).trash
    assert site.engine.empty_trash("dv.nowhere.nothing.20260101T000000Z").result is Result.REFUSED
    assert site.engine.empty_trash(item.item).result is Result.APPLIED
    assert site.hands.get(DATA_VOLUME, site.namespace, "root") is None


def test_a_claim_grows_and_never_shrinks(site: ClusterSite) -> None:
    made(site, site.claim("data", "32Mi"))
    smaller = site.claim("data", "16Mi")
    live = site.look(smaller.key)
    assert live is not None
    assert [d.path for d in site.engine.compare(smaller, live) if "storage" in d.path] == []
    assert site.engine.apply(update(smaller, live)).result is Result.APPLIED
    assert served(site, CLAIM, "data")["spec"]["resources"]["requests"]["storage"] == "32Mi"


def test_disks_of_a_deleted_vm_are_taken_out_of_its_hands(site: ClusterSite) -> None:
    root = site.data_volume("root")
    made(site, root)
    template = {
        "metadata": {"name": "root"},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "16Mi"}}}},
    }
    vm = site.vm("web", disks={"root": root}, templates=(template,))
    live = made(site, vm)
    uid = served(site, VM, "web")["metadata"]["uid"]
    owner = {"apiVersion": "kubevirt.io/v1", "kind": VM, "name": "web", "uid": uid, "controller": True}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "0"}
    site.hands.patch(DATA_VOLUME, site.namespace, "root", {"metadata": {"ownerReferences": [owner, other]}})
    seen = wait_until(lambda: "ownerReferences" in _metadata(site.look(root.key)), "the reference is seen")
    assert seen
    steps = delete_vm(site, site.look(vm.key) or live)
    assert any("root" in step for step in steps)
    assert served(site, DATA_VOLUME, "root")["metadata"]["ownerReferences"] == [other]


def _metadata(live: LiveObject | None) -> dict[str, Any]:
    assert live is not None
    assert live.served is not None
    return dict(live.served.document["metadata"])


def test_a_running_vm_is_known_by_its_instance_and_what_waits_for_a_restart(site: ClusterSite) -> None:
    vm = site.vm("web")
    made(site, vm)
    site.hands.run_instance(site.namespace, "web")
    live = wait_until(lambda: (found := _vm(site, vm.key)).reported == "Running" and found, "the guest is seen")
    assert (live.power, live.running is not None) == (PowerState.RUNNING, True)
    bigger = site.vm("web", memory="96Mi")
    (stored,) = [d for d in site.engine.compare(bigger, live) if d.stored]
    assert (stored.path, stored.impact) == (MEMORY, Impact.RESTART)
    assert site.engine.apply(update(bigger, live)).result is Result.APPLIED
    waits = {"type": "RestartRequired", "status": "True", "message": "a non-live-updatable field was changed"}
    site.hands.set_status(VM, site.namespace, "web", {"conditions": [waits]})
    found = wait_until(lambda: site.engine.compare(bigger, _vm(site, vm.key)), "the condition is seen")
    assert [(d.path, d.before, d.after, d.stored, d.impact) for d in found] == [
        (MEMORY, "64Mi", "96Mi", False, Impact.RESTART)
    ]
    site.hands.delete(INSTANCE, site.namespace, "web")
    wait_until(lambda: _vm(site, vm.key).power is PowerState.OFF, "the guest is gone")


def _vm(site: ClusterSite, key: Any) -> LiveVm:
    live = site.caught_up(key)
    assert isinstance(live, LiveVm)
    return live


def test_a_strategy_that_virtctl_rewrote_is_shown_and_kept(site: ClusterSite) -> None:
    vm = site.vm("web")
    made(site, vm)
    site.hands.patch(VM, site.namespace, "web", {"spec": {"runStrategy": "Halted"}}, manager="virt-api")
    found = wait_until(lambda: site.engine.compare(vm, _vm(site, vm.key)), "it is seen")
    assert [(d.path, d.before, d.after) for d in found] == [("spec.runStrategy", "Halted", "Always")]
    assert "virtctl" in found[0].refused
    assert site.engine.apply(update(vm, _vm(site, vm.key))).result is Result.UNCHANGED
    bigger = site.engine.apply(update(site.vm("web", memory="96Mi"), _vm(site, vm.key)))
    assert bigger.result is Result.APPLIED, bigger
    spec = served(site, VM, "web")["spec"]
    assert (spec["runStrategy"], spec["template"]["spec"]["domain"]["memory"]["guest"]) == ("Halted", "96Mi")
    asked = site.vm("web", run_strategy="Manual")
    assert [d.refused for d in site.engine.compare(asked, _vm(site, vm.key)) if d.path == "spec.runStrategy"] == [""]


def test_secrets_of_a_vm_are_not_shown(site: ClusterSite) -> None:
    vm = site.vm("web", user_data="#cloud-config\npassword: hunter2\n")
    live = made(site, vm)
    other = site.vm("web", user_data="#cloud-config\npassword: hunter3\n")
    found = site.engine.compare(other, live)
    assert [d.path for d in found] == ["spec.template.spec.volumes[seed].cloudInitNoCloud.userData"]
    told = repr((found, site.engine.document_of(live), site.engine.describe(vm), live.marks))
    assert "hunter" not in told
    assert "hunter" not in served(site, VM, "web")["metadata"]["annotations"]["gitvirt.io/applied"]


def test_release_takes_the_marks_off_and_nothing_else(site: ClusterSite) -> None:
    vm = site.vm("web", annotations={"team": "shop"})
    made(site, vm)
    before = served(site, VM, "web")
    assert site.engine.release(vm.key).result is Result.APPLIED
    after = served(site, VM, "web")
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("labels", {}) == {}
    assert after["metadata"]["annotations"] == {"team": "shop"}
    assert site.engine.observe(None).objects == {}


def test_a_network_in_use_stays(site: ClusterSite) -> None:
    net = site.network("net")
    made(site, net)
    vm = site.vm("web", nics={"default": net})
    made(site, vm)
    live = site.look(net.key)
    assert live is not None
    assert site.engine.apply(delete(live)).result is Result.RETRY
    assert site.hands.get(NETWORK, site.namespace, "net") is not None


def test_events_tell_where_to_look(site: ClusterSite) -> None:
    vm = site.vm("web")
    made(site, vm)
    told = site.engine.events()
    while next(told) != vm.key:
        continue
    site.hands.patch(VM, site.namespace, "web", {"metadata": {"labels": {"by": "hand"}}})
    assert next(told) == vm.key
