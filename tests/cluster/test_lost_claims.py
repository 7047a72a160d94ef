"""Claims and DataVolumes that somebody deletes: they are lost for every engine, nothing takes their place, and each way out works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, DATA_VOLUME, VM
from nodeexec.kubevirt.own_objects import register_names
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action
from reconciler.model.resolved import ResolvedVolume
from reconciler.model.status import ObjectState
from tests.cluster.hands import wait_until
from tests.cluster.living import Living
from tests.cluster.platform import Platform
from tests.cluster.site import ClusterSite
from tests.cluster.test_engine import made, served
from tests.contract.builders import create, delete, document, update

OLD = "2020-01-01T00:00:00Z"
VOLUME = f"""
apiVersion: v1
kind: {CLAIM}
metadata: {{name: data, namespace: NAMESPACE}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 16Mi}}}}}}
---
"""
MACHINE = f"""
apiVersion: kubevirt.io/v1
kind: {VM}
metadata: {{name: web, namespace: NAMESPACE}}
spec:
  runStrategy: Halted
  template:
    spec:
      domain: {{memory: {{guest: 64Mi}}, devices: {{disks: [{{name: d, disk: {{bus: virtio}}}}]}}}}
      volumes: [{{name: d, persistentVolumeClaim: {{claimName: data}}}}]
---
"""


def remembered(site: ClusterSite) -> dict[str, str]:
    """The register as it stands on the cluster: object → its entry."""
    found = site.hands.get("ConfigMap", site.namespace, register_names(site.policy.owner)[0])
    entries = {name: text for name, text in ((found or {}).get("data") or {}).items() if name != "about"}
    return {text.split(" ")[3]: text for text in entries.values()}


def there(site: ClusterSite, disk: ResolvedVolume, platform: Platform | None = None) -> ResolvedVolume:
    """A disk that was applied, filled and noted."""
    made(site, disk)
    settled(site, platform or Platform(site.hands, site.namespace), disk.key)
    site.engine.note_disks()
    assert str(disk.key) in remembered(site)
    return disk


def settled(site: ClusterSite, platform: Platform, key: ObjectKey) -> None:
    """The platform has done its part, and the engine has seen it."""
    platform.settle()
    uid = served(site, CLAIM, key.name)["metadata"]["uid"]

    def is_seen() -> bool:
        claim = site.engine._caches.get(CLAIM, (key.namespace, key.name))
        return look(site, key).is_done and claim is not None and claim["metadata"]["uid"] == uid

    wait_until(lambda: is_seen() or look(site, key).phase == LOST, f"{key} is there")


def look(site: ClusterSite, key: ObjectKey) -> LiveVolume:
    found = site.caught_up(key)
    assert isinstance(found, LiveVolume)
    return found


def deleted(site: ClusterSite, key: ObjectKey) -> None:
    """Somebody deletes it, nothing uses it, and the engine has seen it go."""
    site.hands.delete(key.kind, key.namespace, key.name)
    if site.hands.get(key.kind, key.namespace, key.name) is not None:
        site.hands.patch(key.kind, key.namespace, key.name, {"metadata": {"finalizers": None}})
    wait_until(lambda: site.engine._caches.find(key) is None, f"{key} is seen to be gone")


def accepted(site: ClusterSite, disk: ResolvedVolume, lost: LiveVolume) -> Outcome:
    """What becomes of naming the loss."""
    assert disk.document is not None
    spec = disk.document.body["spec"]
    named = document(disk.key.kind, disk.key.namespace, disk.key.name, spec, {"gitvirt.io/fresh-disk": lost.loss})
    wanted = replace(disk, fresh_disk=lost.loss, document=named)
    return site.engine.apply(replace(create(wanted), expected=lost.fingerprint))


def test_what_somebody_deleted_is_lost_for_every_engine_and_costs_no_write_at_rest(site: ClusterSite) -> None:
    disks = [there(site, site.claim(f"data-{number}")) for number in range(3)]
    assert remembered(site).keys() == {str(disk.key) for disk in disks}
    before = site.writes()
    assert site.engine.note_disks().result is Result.UNCHANGED
    assert site.writes() == before
    deleted(site, disks[0].key)
    lost = look(site, disks[0].key)
    assert (lost.phase, lost.size_bytes) == (LOST, 0)
    assert "is gone, and gitvirt did not take it away" in lost.reason
    assert f"gitvirt.io/fresh-disk: {lost.loss}" in lost.reason
    assert site.engine.note_disks().result is Result.UNCHANGED
    another = site.another_engine()
    try:
        seen = another.observe(None).objects
        assert {key.name: one.phase for key, one in seen.items() if isinstance(one, LiveVolume)} == {
            "data-0": LOST, "data-1": "Succeeded", "data-2": "Succeeded",
        }  # fmt: skip
        refused = another.apply(replace(create(disks[0]), expected=lost.fingerprint))
        assert (refused.result, refused.reason) == (Result.REFUSED, lost.reason)
        assert another.apply(create(disks[0])).result is Result.CONFLICT
    finally:
        another.close()
    assert site.hands.get(CLAIM, site.namespace, "data-0") is None
    assert site.engine.apply(delete(lost)).steps == ("forgot the lost disk",)
    assert str(disks[0].key) not in remembered(site)
    assert site.engine.apply(create(disks[0])).result is Result.APPLIED


def test_while_a_guest_has_it_the_deletion_is_told_with_what_keeps_the_data(site: ClusterSite) -> None:
    disk, vm = site.claim("data"), site.vm("web", disks={"data": site.claim("data")})
    there(site, disk)
    made(site, vm)
    keeps = {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}, "spec": {"volumeName": "pv-7"}}
    site.hands.patch(CLAIM, site.namespace, "data", keeps)
    site.hands.delete(CLAIM, site.namespace, "data")
    lost = wait_until(lambda: (seen := look(site, disk.key)).phase == LOST and seen, "it is told")
    assert "somebody deleted it at " in lost.reason
    assert "do not stop its VM before `kubectl patch pv pv-7 -p" in lost.reason
    live = site.look(vm.key)
    assert live is not None
    outcome = site.engine.apply(replace(update(vm, live), action=Action.RESTART))
    assert (outcome.result, f"its disk {disk.key} was lost" in outcome.reason) == (Result.CONFLICT, True)
    # A new one has no place before the old one is gone.
    assert accepted(site, disk, lost).result is Result.PROGRESSING
    site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"finalizers": None}})
    gone = wait_until(lambda: "is gone, and" in (seen := look(site, disk.key)).reason and seen, "it is gone")
    assert gone.loss == lost.loss
    assert accepted(site, disk, gone).result is Result.APPLIED


def test_the_claim_under_a_data_volume_is_made_anew_by_cdi_and_that_is_a_loss(site: ClusterSite) -> None:
    platform = Platform(site.hands, site.namespace)
    disk = there(site, site.data_volume("root"), platform)
    deleted(site, ObjectKey(CLAIM, site.namespace, "root"))
    assert "has lost its claim, which somebody deleted" in look(site, disk.key).reason
    settled(site, platform, disk.key)
    lost = wait_until(lambda: "another one is there since" in (seen := look(site, disk.key)).reason and seen, "told")
    assert lost.phase == LOST
    site.engine.note_disks()
    assert look(site, disk.key).phase == LOST, "what is lost is not noted anew"
    assert accepted(site, disk, lost).result is Result.APPLIED
    assert look(site, disk.key).phase == "Succeeded"
    site.engine.note_disks()
    uid = served(site, CLAIM, "root")["metadata"]["uid"]
    assert f" {uid} " in remembered(site)[str(disk.key)]


def test_a_data_volume_that_kubevirt_made_anew_is_no_replacement_until_somebody_says_so(site: ClusterSite) -> None:
    platform = Platform(site.hands, site.namespace)
    disk = there(site, site.data_volume("root"), platform)
    old = served(site, DATA_VOLUME, "root")
    deleted(site, disk.key)
    assert "is gone" in look(site, disk.key).reason
    labels, annotations = {"kubevirt.io/created-by": "a-vm"}, {"gitvirt.io/fresh-disk": "lost-before"}
    metadata = {"name": "root", "namespace": site.namespace, "labels": labels, "annotations": annotations}
    body = {"apiVersion": old["apiVersion"], "kind": DATA_VOLUME, "metadata": metadata, "spec": old["spec"]}
    fresh = site.hands.create(body, manager="virt-controller")
    lost = wait_until(lambda: "KubeVirt made it" in (seen := look(site, disk.key)).reason and seen, "it is told")
    assert [one.key for one in site.engine.observe(None).objects.values() if isinstance(one, LiveVolume)] == [disk.key]
    assert site.engine.apply(replace(create(disk), expected=lost.fingerprint)).result is Result.REFUSED
    assert accepted(site, disk, lost).result is Result.APPLIED
    now = served(site, DATA_VOLUME, "root")
    assert (now["metadata"]["uid"], now["metadata"]["labels"]["gitvirt.io/owner"]) == (
        fresh["metadata"]["uid"], site.policy.owner,
    )  # fmt: skip
    site.engine.note_disks()
    settled(site, platform, disk.key)
    site.engine.note_disks()
    assert f" {fresh['metadata']['uid']} " in remembered(site)[str(disk.key)]


def test_a_disk_whose_vm_somebody_deleted_is_lost_before_the_cluster_collects_it(memory_site: ClusterSite) -> None:
    """Else the VM would be made anew on a disk that goes a moment later, and start on what KubeVirt makes in its place."""
    site = memory_site
    disk = there(site, site.data_volume("root"))
    vm = site.vm("web", disks={"root": disk})
    made(site, vm)
    uid = served(site, VM, "web")["metadata"]["uid"]
    owner = {"apiVersion": "kubevirt.io/v1", "kind": VM, "name": "web", "uid": uid, "controller": True}
    site.hands.patch(DATA_VOLUME, site.namespace, "root", {"metadata": {"ownerReferences": [owner]}})
    wait_until(lambda: "ownerReferences" in site.engine._caches.find(disk.key)["metadata"], "it is the VM's")
    assert look(site, disk.key).phase == "Succeeded"
    site.hands.delete(VM, site.namespace, "web")
    lost = wait_until(lambda: (seen := look(site, disk.key)).phase == LOST and seen, "it is told")
    assert "somebody deleted the VM that it belongs to" in lost.reason
    assert site.engine.apply(create(vm)).result is Result.CONFLICT
    site.hands.patch(DATA_VOLUME, site.namespace, "root", {"metadata": {"ownerReferences": None}})
    wait_until(lambda: look(site, disk.key).phase == "Succeeded", "it stands by itself")
    assert site.engine.apply(create(vm)).result is Result.APPLIED


def test_one_whose_volume_is_gone_is_deleted_once_its_loss_is_named(site: ClusterSite) -> None:
    disk = there(site, site.claim("data"))
    site.hands.set_status(CLAIM, site.namespace, "data", {"phase": "Lost"})
    lost = wait_until(lambda: (seen := look(site, disk.key)).phase == LOST and seen, "it is told")
    assert "the PersistentVolume that its claim was bound to is gone" in lost.reason
    old = served(site, CLAIM, "data")["metadata"]["uid"]
    refused = site.engine.apply(replace(create(disk), expected=lost.fingerprint))
    assert (refused.result, served(site, CLAIM, "data")["metadata"]["uid"]) == (Result.REFUSED, old)
    outcome = accepted(site, disk, lost)
    if outcome.result is Result.PROGRESSING:  # A real server keeps it until nothing protects it.
        deleted(site, disk.key)
        outcome = accepted(site, disk, look(site, disk.key))
    assert outcome.result is Result.APPLIED
    assert served(site, CLAIM, "data")["metadata"]["uid"] != old


def test_what_gitvirt_puts_away_or_lets_go_is_not_lost(site: ClusterSite) -> None:
    away, free = there(site, site.claim("away")), there(site, site.claim("free"))
    assert site.engine.apply(delete(look(site, away.key))).result is Result.APPLIED
    assert site.engine.release(free.key).result is Result.APPLIED
    assert remembered(site) == {}
    (item,) = site.engine.observe(None).trash
    assert site.engine.empty_trash(item.item).result is Result.APPLIED
    for disk in (away, free):
        deleted(site, disk.key)
        assert site.look(disk.key) is None
    assert site.engine.apply(create(away)).result is Result.APPLIED


def test_who_died_before_the_trash_was_noted_empties_it_without_a_loss(site: ClusterSite) -> None:
    disk = there(site, site.claim("data"))
    assert site.engine.apply(delete(look(site, disk.key))).result is Result.APPLIED
    another = site.another_engine()
    try:
        (item,) = another.observe(None).trash
        assert another.empty_trash(item.item).result is Result.APPLIED
        assert remembered(site) == {}
    finally:
        another.close()


def test_a_register_that_cannot_be_understood_stops_the_making_of_disks_alone(site: ClusterSite) -> None:
    disk = there(site, site.claim("data"))
    name = register_names(site.policy.owner)[0]
    site.hands.patch("ConfigMap", site.namespace, name, {"data": {"0": "yesterday, all of them"}})
    another = site.another_engine()
    try:
        seen = another.observe(None)
        assert isinstance(seen.objects[disk.key], LiveVolume)
        assert "delete that ConfigMap" in seen.why_unknown(site.claim("fresh").key)
        outcome = another.apply(create(site.claim("fresh")))
        assert (outcome.result, "which disks were there is not known" in outcome.reason) == (Result.RETRY, True)
        assert another.apply(create(site.vm("web"))).result is Result.APPLIED
    finally:
        another.close()
    # One that knows it all writes it anew.
    site.hands.delete("ConfigMap", site.namespace, name)
    there(site, site.claim("other"))
    assert remembered(site).keys() == {str(disk.key), f"{CLAIM}/{site.namespace}/other"}


@pytest.fixture
def living(site: ClusterSite) -> Living:
    """Cycles over the site."""
    return Living(site.engine, site.policy)


def test_many_disks_are_noted_in_one_request_and_a_vm_waits_for_the_one_that_is_lost(
    site: ClusterSite, living: Living
) -> None:
    platform, namespace = Platform(site.hands, site.namespace), site.namespace
    others = "".join(VOLUME.replace("name: data", f"name: data-{number}") for number in range(20))
    text = (VOLUME + MACHINE + others).replace("NAMESPACE", namespace)
    living.commit(text)
    assert site.writes() == 22
    platform.settle()
    claim, vm = ObjectKey(CLAIM, namespace, "data"), ObjectKey(VM, namespace, "web")
    for one in site.hands.list(CLAIM, namespace):
        site.caught_up(ObjectKey(CLAIM, namespace, one["metadata"]["name"]))
    wait_until(lambda: living.turn() and len(remembered(site)) == 21, "all are noted")
    assert site.writes() <= 22 + 4, "a request a cycle, not one a disk"
    before = site.writes()
    assert living.turn().changes == ()
    assert site.writes() == before
    deleted(site, vm)
    deleted(site, claim)
    plan = wait_until(lambda: (now := living.turn()).blocked and now, "it is seen")
    assert {entry.key for entry in plan.blocked} == {claim, vm}
    status = living.status(claim)
    assert (status.state, status.printable_status) == (ObjectState.BLOCKED, LOST)
    assert site.hands.get(VM, namespace, "web") is None, "it would have begun with an empty disk"
    named = text.replace(
        "{name: data,", f"{{name: data, annotations: {{gitvirt.io/fresh-disk: {look(site, claim).loss}}},", 1
    )
    living.commit(named)
    assert site.hands.get(CLAIM, namespace, "data") is not None
    wait_until(lambda: living.turn() and site.hands.get(VM, namespace, "web"), "its VM is made")


def test_a_namespace_that_somebody_deleted_with_everything_in_it(site: ClusterSite, namespace_of_gitvirt: str) -> None:
    """The register is not where the disks are."""
    engine = site.another_engine(lease_namespace=namespace_of_gitvirt)
    try:
        disk = site.claim("data")
        assert engine.apply(create(disk)).result is Result.APPLIED
        Platform(site.hands, site.namespace).settle()
        wait_until(lambda: engine.note_disks().result is Result.APPLIED, "it is noted")
        site.hands.clear(site.namespace)
        wait_until(lambda: engine._caches.find(disk.key) is None, "all is gone")
        found: Any = engine.observe([disk.key]).objects[disk.key]
        assert found.phase == LOST
    finally:
        engine.close()


@pytest.fixture
def namespace_of_gitvirt(site: ClusterSite) -> str:
    """Another namespace than that of the VMs."""
    name = f"{site.namespace}-own"
    site.hands.make_namespace(name)
    return name


def test_of_namespaces_that_are_not_watched_nothing_is_called_lost(site: ClusterSite) -> None:
    there(site, site.claim("data"))
    elsewhere = site.another_engine(namespaces=("default",))
    try:
        assert [key for key in elsewhere.observe(None).objects if key.kind in CLAIM_KINDS] == []
    finally:
        elsewhere.close()
