"""What KubeVirt, CDI and the API server make of a manifest is no difference, in this life of gitvirt and the next."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from nodeexec.kubevirt.compare import compare
from nodeexec.kubevirt.keeping import kept
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, KINDS, VM
from nodeexec.kubevirt.manifest import sent
from nodeexec.kubevirt.normal_form import renamed
from nodeexec.kubevirt.project_vm import live_vm
from nodeexec.kubevirt.project_volume import live_volume
from reconciler.model.live import LiveVm, LiveVolume
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_cluster import vm_of_cluster, volume_of_cluster
from reconciler.planning.resolve_vm import References
from tests.cluster.webhooks import bound, through_cdi, through_kubevirt
from tests.contract.builders import digest, document

POLICY = Policy(on_cluster=True, host="cluster")
T = "spec.template.spec"
RICH: dict[str, Any] = {
    "runStrategy": "Always",
    "instancetype": {"inferFromVolume": "root", "inferFromVolumeFailurePolicy": "Ignore"},
    "preference": {"name": "linux"},
    "dataVolumeTemplates": [
        {"metadata": {"name": "root"}, "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1024Mi"}}}}}
    ],
    "template": {
        "metadata": {"labels": {"app": "web", "empty": ""}, "annotations": {}},
        "spec": {
            "architecture": "",
            "nodeSelector": {},
            "evictionStrategy": "LiveMigrate",
            "terminationGracePeriodSeconds": 0,
            "domain": {
                "cpu": {"sockets": 2, "cores": 0, "threads": 1, "dedicatedCpuPlacement": False, "model": ""},
                "memory": {"guest": "2048Mi"},
                "machine": {"type": ""},
                "resources": {"requests": {"cpu": "0.5", "memory": "2147483648"}, "limits": {}},
                "firmware": {"uuid": "", "bootloader": {"efi": {"secureBoot": False}}},
                "features": {"acpi": {}, "smm": {"enabled": True}},
                "clock": {"utc": {}, "timer": {"hpet": {"present": False}}},
                "devices": {
                    "autoattachSerialConsole": True,
                    "disks": [
                        {"name": "root", "disk": {"bus": "virtio", "readonly": False}},
                        {"name": "cd", "cdrom": {"bus": "sata"}},
                    ],
                    "interfaces": [
                        {"name": "default", "masquerade": {}, "macAddress": "02-AB-00-00-00-01", "model": ""},
                        {"name": "old", "bridge": {}, "state": "absent"},
                    ],
                },
            },
            "networks": [{"name": "default", "pod": {}}, {"name": "old", "multus": {"networkName": "lan", "default": False}}],
            "volumes": [
                {"name": "root", "dataVolume": {"name": "root", "hotpluggable": False}},
                {"name": "cd", "persistentVolumeClaim": {"claimName": "iso", "hotpluggable": True, "readOnly": False}},
            ],
        },
    },
}  # fmt: skip


def wanted(spec: Mapping[str, Any]) -> ResolvedVm:
    """A VM as declared."""
    references = References(documents={}, volumes={}, networks=())
    return vm_of_cluster(document(VM, "prod", "web", spec), references, policy=POLICY, digest=digest)


def live(vm: ResolvedVm, before: LiveVm | None = None) -> LiveVm:
    """The VM as it is after it was sent and everybody has seen it."""
    body = through_kubevirt(sent(vm, before, KINDS[VM], owner="gitvirt", revision="1" * 40))
    return live_vm(vm.key, kept(body, VM), None, host="cluster")


def changed(**parts: Any) -> dict[str, Any]:
    """The rich specification with a field set by its path."""
    made = copy.deepcopy(RICH)
    for path, value in parts.items():
        *way, last = path.split("__")
        place: Any = made
        for part in way:
            place = place[part]
        place[last] = value
    return made


def test_a_vm_that_says_everything_is_as_it_was_sent() -> None:
    vm = wanted(RICH)
    there = live(vm)
    assert compare(vm, there) == ()
    again = live(vm, there)
    assert compare(vm, again) == ()
    assert again.served is not None
    assert there.served is not None
    assert again.served.document["spec"] == there.served.document["spec"]


def test_a_vm_that_says_little_is_left_to_the_platform() -> None:
    vm = wanted({"runStrategy": "Always", "template": {"spec": {"domain": {}}}})
    there = live(vm)
    assert compare(vm, there) == ()
    assert there.served is not None
    template = there.served.document["spec"]["template"]["spec"]
    assert template["domain"]["firmware"] == {"uuid": vm.domain.uuid, "serial": vm.domain.serial}


def test_an_empty_identity_is_none() -> None:
    assert live(wanted(RICH)).stored.uuid == wanted(RICH).domain.uuid != ""


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("template__spec__domain__memory__guest", "2049Mi", f"{T}.domain.memory.guest"),
        ("template__spec__domain__cpu__dedicatedCpuPlacement", True, f"{T}.domain.cpu.dedicatedCpuPlacement"),
        ("template__spec__domain__machine__type", "pc-q35-9.0", f"{T}.domain.machine.type"),
        ("template__spec__nodeSelector", {"zone": "a"}, f"{T}.nodeSelector"),
        ("template__spec__terminationGracePeriodSeconds", 30, f"{T}.terminationGracePeriodSeconds"),
        ("template__metadata__labels", {"app": "web"}, "spec.template.metadata.labels.empty"),
        ("instancetype__inferFromVolume", "cd", "spec.instancetype.inferFromVolume"),
        ("preference__name", "windows", "spec.preference.name"),
        ("runStrategy", "Manual", "spec.runStrategy"),
    ],
)
def test_what_is_another_is_seen(field: str, value: Any, path: str) -> None:
    found = {one.path for one in compare(wanted(changed(**{field: value})), live(wanted(RICH)))}
    assert found - {"spec.instancetype.inferFromVolumeFailurePolicy"} == {path}


def test_what_was_turned_on_by_hand_is_drift_although_off_goes_without_saying() -> None:
    vm = wanted(RICH)
    there = live(vm)
    assert there.served is not None
    served = copy.deepcopy(dict(there.served.document))
    served["spec"]["template"]["spec"]["domain"]["cpu"]["dedicatedCpuPlacement"] = True
    found = compare(vm, live_vm(vm.key, served, None, host="cluster"))
    assert [(one.before, one.after) for one in found] == [(True, False)]


def test_a_nic_is_unplugged_by_its_state_and_then_neither_missed_nor_sent() -> None:
    with_nic = copy.deepcopy(RICH)
    with_nic["template"]["spec"]["domain"]["devices"]["interfaces"][1].pop("state")
    there = live(wanted(with_nic))
    vm = wanted(RICH)
    assert [(one.path.rpartition(".")[2], one.after) for one in compare(vm, there)] == [("state", "absent")]
    unplugged = live(vm, there)
    assert unplugged.served is not None
    template = copy.deepcopy(dict(unplugged.served.document))
    spec = template["spec"]["template"]["spec"]
    spec["domain"]["devices"]["interfaces"].pop()
    spec["networks"].pop()
    gone = live_vm(vm.key, template, None, host="cluster")
    assert compare(vm, gone) == ()
    body = sent(wanted(changed(template__spec__hostname="a")), gone, KINDS[VM], owner="gitvirt", revision="")
    assert [nic["name"] for nic in body["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"]] == ["default"]
    assert [net["name"] for net in body["spec"]["template"]["spec"]["networks"]] == ["default"]


def test_an_instancetype_of_another_name_leaves_the_old_one_s_revision() -> None:
    served = {"instancetype": {"name": "large", "kind": "a", "revisionName": "r"}, "preference": {"name": "linux"}}
    assert renamed({"instancetype": {"name": "large"}}, served) == {}
    assert renamed({"instancetype": {"inferFromVolume": "root"}}, served) == {}
    assert renamed({"preference": {"name": "other"}}, served) == {}
    assert renamed({"instancetype": {"name": "small", "revisionName": "own"}}, served) == {}
    found = renamed({"instancetype": {"name": "small"}}, served)
    assert found == {"instancetype": {"name": "small", "kind": None, "revisionName": None}}


def volume(kind: str, spec: Mapping[str, Any]) -> tuple[ResolvedVolume, LiveVolume]:
    """A volume as declared, and as it is there."""
    made = volume_of_cluster(document(kind, "prod", "root", spec), digest, None)
    body = sent(made, None, KINDS[kind], owner="gitvirt", revision="1" * 40)
    served = through_cdi(body) if kind == DATA_VOLUME else bound(body)
    there = kept(served, kind)
    return made, live_volume(made.key, there, there if kind == CLAIM else None, (), host="cluster")


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (CLAIM, {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}),
        (CLAIM, {"resources": {"requests": {"storage": "1.5Gi"}}, "dataSourceRef": {"kind": CLAIM, "name": "gold"}}),
        (CLAIM, {"resources": {"requests": {"storage": 1073741824}}, "dataSource": {"kind": CLAIM, "name": "gold"}}),
        (CLAIM, {"resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Block", "storageClassName": "fast"}),
        (
            DATA_VOLUME,
            {
                "source": {"http": {"url": "https://img.example.org/a.qcow2", "secretRef": "", "certConfigMap": ""}},
                "storage": {"resources": {"requests": {"storage": "2048Mi"}}},
            },
        ),
        (DATA_VOLUME, {"source": {"blank": {}}, "pvc": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        (DATA_VOLUME, {"sourceRef": {"kind": "DataSource", "name": "gold"}, "source": {}, "storage": {}}),
    ],
)  # fmt: skip
def test_volumes_are_as_they_were_sent(kind: str, spec: Mapping[str, Any]) -> None:
    made, there = volume(kind, spec)
    assert compare(made, there) == ()
