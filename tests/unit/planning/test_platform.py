"""Planning for a platform: what comes before what, what nobody has, instancetypes, pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from nodeexec.kubevirt.compare import Rules, compare
from nodeexec.kubevirt.project_vm import is_of_pool, live_vm, sized
from reconciler.manifests.foreign_kinds import served
from reconciler.manifests.load import load_blob
from reconciler.model.declared import Declared, Reading
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveResource, LiveVm
from reconciler.model.persistent import PersistentMap
from reconciler.model.plan import Cause, Impact, Plan
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import Override, OverrideAction
from reconciler.planning.offline import as_if_live, plan_between
from reconciler.planning.planner import make_plan
from reconciler.planning.references import references_of
from reconciler.planning.resolve import resolve
from reconciler.wiring_engines import PureEngine
from tests.unit.planning.building import NOW, digest, observed

POLICY = Policy(on_cluster=True, host="cluster", mode=Mode.ENFORCE)
ENGINE = PureEngine("kubevirt", check=lambda _: (), compare=compare, describe=lambda _: "")
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: lab}\n---\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: seed, namespace: lab}\nstringData: {userdata: x}\n---\n"
SIZE = """
apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineInstancetype
metadata: {name: small, namespace: lab}
spec: {cpu: {guest: 2}, memory: {guest: 4Gi}}
---
"""
VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web, namespace: lab}
spec:
  runStrategy: Always
  instancetype: {kind: VirtualMachineInstancetype, name: small}
  preference: {name: linux}
  template:
    spec:
      domain: {devices: {disks: [{name: root, disk: {bus: virtio}}, {name: seed, disk: {bus: virtio}}], interfaces: [{name: lan, bridge: {}}]}}
      networks: [{name: lan, multus: {networkName: infra/lan}}]
      volumes: [{name: root, persistentVolumeClaim: {claimName: web-root}}, {name: seed, cloudInitNoCloud: {secretRef: {name: seed}}}]
---
"""
WEB = ObjectKey("VirtualMachine", "lab", "web")
SMALL = ObjectKey("VirtualMachineInstancetype.instancetype.kubevirt.io", "lab", "small")
LINUX = ObjectKey("VirtualMachineClusterPreference.instancetype.kubevirt.io", "", "linux")
LAN = ObjectKey("NetworkAttachmentDefinition", "infra", "lan")
ROOT = ObjectKey("PersistentVolumeClaim", "lab", "web-root")


def read(text: str) -> Declared:
    """Manifests as they come from a repository."""
    file = load_blob(text.encode(), "all.yaml")
    assert (file.invalid, file.unidentified) == ((), ())
    documents = PersistentMap({document.key: document for document in file.documents})
    return Declared(readings={"": Reading(revision="r1")}, documents=documents)


def plan(text: str, live: Mapping[ObjectKey, LiveObject] | None = None, **more: object) -> Plan:
    said = read(text)
    there = observed(*(live or {}).values(), **more)
    return make_plan(resolve(said, there, policy=POLICY, digest=digest), there, policy=POLICY, engine=ENGINE, now=NOW)


def live_of(text: str) -> dict[ObjectKey, LiveObject]:
    said = read(text)
    desired = resolve(said, observed(), policy=POLICY, digest=digest)
    return {key: as_if_live(one, POLICY, "r0") for key, one in desired.objects.items()}


def test_a_vm_comes_after_everything_that_it_names_and_this_plan_makes() -> None:
    found = plan(NAMESPACE + SECRET + SIZE + VM)
    assert [change.key.kind.partition(".")[0] for change in found.changes] == [
        "Namespace", "Secret", "VirtualMachineInstancetype", "VirtualMachine"
    ]  # fmt: skip
    assert set(found.changes[-1].needs) == {
        ObjectKey("Namespace", "", "lab"), ObjectKey("Secret", "lab", "seed"), SMALL
    }  # fmt: skip
    assert plan(SECRET + VM, live_of(SECRET)).changes[-1].needs == ()


def test_a_plan_says_what_an_instancetype_makes_of_a_vm() -> None:
    (change,) = [one for one in plan(SIZE + VM).changes if one.key == WEB]
    assert change.reason.endswith("; VirtualMachineInstancetype small: 2 CPUs, 4096Mi")
    (unknown,) = [one for one in plan(VM).changes if one.key == WEB]
    assert "CPUs" not in unknown.reason


def test_what_neither_the_repository_nor_the_cluster_has_is_noted_with_its_field() -> None:
    notes = {note.message for note in plan(VM).notes if note.code == "reference-missing"}
    assert notes == {
        f"spec.instancetype.name names {SMALL}, which neither the repository nor the cluster has",
        f"spec.preference.name names {LINUX}, which neither the repository nor the cluster has",
        f"spec.template.spec.networks[lan].multus.networkName names {LAN}, which neither the repository nor the cluster has",
        f"spec.template.spec.volumes[root].persistentVolumeClaim.claimName names {ROOT}, which neither the repository nor the cluster has",
    }
    there = {
        key: LiveResource(key=key, fingerprint="x", marks=None)
        for key in (LINUX, LAN, ObjectKey("DataVolume", "lab", "web-root"))
    }
    left = [note.message for note in plan(SIZE + VM, there).notes if note.code == "reference-missing"]
    assert left == []
    # Without a cluster to look at nobody can tell.
    offline = plan_between(None, read(VM), engine=ENGINE, policy=POLICY, digest=digest)
    assert offline.notes == ()


def test_a_kind_that_is_not_served_blocks_what_is_of_it_and_what_needs_that() -> None:
    found = plan(NAMESPACE + SIZE + VM, unserved={SMALL.kind: "install KubeVirt"})
    blocked = {entry.key: (entry.by, entry.waiting) for entry in found.blocked}
    assert blocked == {SMALL: ("install KubeVirt", False)}
    assert found.retry_after_s is not None


def test_a_changed_instancetype_says_who_stays_as_it_is() -> None:
    live = live_of(SIZE)
    thing = live[SMALL]
    assert isinstance(thing, LiveResource)
    live[SMALL] = replace(thing, used_by=(WEB,))
    found = plan(SIZE.replace("guest: 2", "guest: 4"), live)
    assert [change.key for change in found.changes] == [SMALL]
    (note,) = found.notes
    assert note.code == "instancetype-in-use" and note.message.startswith(f"{WEB} name it and stay as they are")


def test_a_vm_of_a_pool_is_the_pool_s() -> None:
    owner = {
        "kind": "VirtualMachinePool",
        "name": "farm",
        "controller": True,
        "apiVersion": "pool.kubevirt.io/v1alpha1",
    }
    document = {
        "metadata": {"name": "web", "namespace": "lab", "ownerReferences": [owner]},
        "spec": {"template": {"spec": {}}},
    }
    live = live_vm(WEB, document, None, host="cluster")
    assert is_of_pool(document) and live.controller == ObjectKey("VirtualMachinePool", "lab", "farm")
    (entry,) = plan(VM, {WEB: live}).blocked
    assert (
        entry.by
        == f"{WEB} belongs to VirtualMachinePool/lab/farm, which makes and unmakes it; change that one, or rename this one"
    )


def test_live_vms_tell_their_size_and_what_is_under_way() -> None:
    document = {
        "metadata": {"name": "web", "namespace": "lab"},
        "spec": {"template": {"spec": {"domain": {}}}},
        "status": {"snapshotInProgress": "before-upgrade"},
    }
    move = {"sourceNode": "a", "targetNode": "b", "startTimestamp": "2026-01-01T00:00:00Z"}
    instance = {"metadata": {}, "spec": {}, "status": {"phase": "Running", "migrationState": move}}
    live = live_vm(WEB, document, instance, host="cluster")
    assert live.under_way == "it migrates from a to b; the snapshot before-upgrade is being taken"
    moved = {**instance, "status": {"phase": "Running", "migrationState": {**move, "completed": True}}}
    assert live_vm(WEB, document, moved, host="cluster").under_way == "the snapshot before-upgrade is being taken"
    with_size = sized(live, {"spec": {"cpu": {"guest": 3}, "memory": {"guest": "1Gi"}}})
    assert isinstance(with_size, LiveVm) and with_size.stored is not None
    assert (with_size.stored.cpu.count, with_size.stored.memory_mib) == (3, 1024)
    assert sized(live, {"spec": {"cpu": "nonsense"}}) is live


def test_acts_are_refused_with_what_to_do_instead() -> None:
    text = "apiVersion: kubevirt.io/v1\nkind: VirtualMachineInstanceMigration\nmetadata: {name: go}\nspec: {vmiName: web}\n"
    (document,) = load_blob(text.encode(), "m.yaml").documents
    (found,) = served(lambda _: (), True)(document)
    assert (found.code, found.place.line) == ("kind-is-an-act", 2) and "virtctl migrate" in found.hint


def test_references_of_templates_and_classes() -> None:
    text = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: d, namespace: lab}
spec: {source: {http: {url: "http://x.example/i", secretRef: login, certConfigMap: roots}}, storage: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
"""
    (document,) = load_blob(text.encode(), "d.yaml").documents
    assert [(one.keys[0].kind, one.keys[0].name, one.path) for one in references_of(document)] == [
        ("Secret", "login", "spec.source.http.secretRef"),
        ("ConfigMap", "roots", "spec.source.http.certConfigMap"),
        ("StorageClass", "fast", "spec.storage.storageClassName"),
    ]


def test_what_an_act_of_an_operator_left_is_undone_in_the_operator_s_name() -> None:
    there = live_of(VM)
    vm = there[WEB]
    assert isinstance(vm, LiveVm) and vm.marks is not None
    act = Override(action=OverrideAction.START, by="ann", at=NOW - timedelta(hours=2), until=NOW - timedelta(hours=1))
    noted = {**there, WEB: replace(vm, marks=replace(vm.marks, override=act))}
    engine = PureEngine(
        "kubevirt", check=lambda _: (), compare=partial(compare, rules=Rules(now=NOW)), describe=lambda _: ""
    )
    live = observed(*noted.values())
    found = make_plan(
        resolve(read(VM), live, policy=POLICY, digest=digest), live, policy=POLICY, engine=engine, now=NOW
    )
    ((change,), (difference,)) = found.changes, found.changes[0].differences
    assert (change.cause, change.impact, change.power) == (Cause.OPERATOR, Impact.NONE, None)
    assert difference.reason == "the start by operator ann is over"
