"""What the libvirt engine says it cannot do."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest

from nodeexec.libvirt.domain_fields import TABLE, device_lists, field_rows, fields_of
from nodeexec.libvirt.support import check
from nodeexec.libvirt.table import Refused
from nodeexec.spec_fields import DISK_FIELDS, INTERFACE_FIELDS, VM_FIELDS
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem

TEMPLATE: dict[str, Any] = {
    "domain": {
        "cpu": {"cores": 2},
        "devices": {
            "disks": [{"name": "rootdisk", "disk": {"bus": "virtio"}}, {"name": "init", "cdrom": {}}],
            "interfaces": [{"name": "default", "bridge": {}}, {"name": "second", "masquerade": {}}],
            "rng": {},
        },
        "resources": {"requests": {"memory": "4Gi"}},
        "features": {"acpi": {}, "hyperv": {"spinlocks": {"spinlocks": 8191}}},
    },
    "networks": [{"name": "default", "pod": {}}, {"name": "second", "multus": {"networkName": "lab"}}],
    "volumes": [
        {"name": "rootdisk", "persistentVolumeClaim": {"claimName": "pvc"}},
        {"name": "init", "cloudInitNoCloud": {"userData": "#cloud-config"}},
    ],
    "terminationGracePeriodSeconds": 30,
    "nodeSelector": {"kubernetes.io/hostname": "h"},
}


def problems(kind: str, spec: dict[str, Any]) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in all_of(kind, spec)]


def all_of(kind: str, spec: dict[str, Any]) -> tuple[Problem, ...]:
    key = ObjectKey(kind, "default", "x")
    return check(Document(key=key, api_version="", body={"spec": spec}, digest="", file="x.yaml"))


def vm(path: str = "", value: Any = None) -> dict[str, Any]:
    """A VM that is honoured whole, with one value put at ``path`` below its template's spec."""
    template = copy.deepcopy(TEMPLATE)
    node: Any = template
    parts = [int(part) if part.isdigit() else part for part in path.split(".")] if path else []
    for part, following in pairwise(parts):
        node = node[part] if isinstance(part, int) else node.setdefault(part, [] if isinstance(following, int) else {})
    if parts:
        node[parts[-1]] = value
    return {"runStrategy": "Always", "template": {"metadata": {"labels": {"a": "b"}}, "spec": template}}


def test_a_vm_that_is_honoured_whole_has_no_problem() -> None:
    assert problems("VirtualMachine", vm()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("domain.devices.tpm", {}),
        ("domain.devices.gpus", [{"name": "a", "deviceName": "b"}]),
        ("domain.devices.hostDevices", [{"name": "a", "deviceName": "b"}]),
        ("domain.devices.autoattachVSOCK", True),
        ("domain.devices.interfaces.1.sriov", {}),
        ("domain.devices.interfaces.1.slirp", {}),
        ("domain.devices.interfaces.1.passt", {}),
        ("domain.devices.disks.0.lun", {}),
        ("domain.devices.disks.0.disk.pciAddress", "0000:81:01.0"),
        ("domain.cpu.dedicatedCpuPlacement", True),
        ("domain.cpu.numa.guestMappingPassthrough", {}),
        ("domain.firmware.kernelBoot.kernelArgs", "x"),
        ("domain.launchSecurity.sev", {}),
        ("domain.nonsense", 1),
        ("networks.0.pod.vmNetworkCIDR", "10.0.0.0/8"),
        ("volumes.0.hostDisk.path", "/x"),
        ("volumes.0.containerDisk.image", "x"),
        ("startStrategy", "Paused"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(path: str, value: Any) -> None:
    (problem,) = all_of("VirtualMachine", vm(path, value))
    assert (problem.code, problem.severity) == ("field-not-supported", "error")
    assert problem.hint
    written = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
    full = f"spec.template.spec{written}"
    assert full.startswith(problem.path) or problem.path.startswith(full)
    assert problem.path not in ("spec", "spec.template.spec", "spec.template.spec.domain")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("affinity", {"nodeAffinity": {"a": [1, 2], "b": {}}}),
        ("tolerations", [{"key": "a"}]),
        ("evictionStrategy", "LiveMigrate"),
        ("livenessProbe", {"exec": {"command": ["true"]}}),
        ("domain.devices.interfaces.0.ports", [{"port": 80}]),
        ("domain.memory.maxGuest", "8Gi"),
        ("domain.resources.requests.ephemeral-storage", "1Gi"),
        ("domain.ioThreadsPolicy", "auto"),
    ],
)
def test_what_does_nothing_here_is_one_warning(path: str, value: Any) -> None:
    assert [code for code, _ in problems("VirtualMachine", vm(path, value))] == ["field-without-effect"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("domain.devices.autoattachVSOCK", False),
        ("domain.devices.gpus", []),
        ("domain.devices.disks.1.cdrom.tray", "closed"),
        ("domain.rebootPolicy", "Reboot"),
        ("domain.resources.limits", {}),
        ("domain.firmware.bootloader.efi.persistent", True),
        ("accessCredentials", None),
    ],
)
def test_what_asks_for_nothing_is_no_problem(path: str, value: Any) -> None:
    assert problems("VirtualMachine", vm(path, value)) == []


@pytest.mark.parametrize(("index", "found"), [(0, 0), (1, 1)])
def test_a_thread_of_its_own_needs_virtio(index: int, found: int) -> None:
    assert len(problems("VirtualMachine", vm(f"domain.devices.disks.{index}.dedicatedIOThread", True))) == found


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"type": "bridge", "bridge": "b", "ipam": {"type": "host-local", "subnet": "10.0.0.0/24"}}, []),
        ({"type": "bridge", "ipam": {}}, []),
        ({"type": "bridge", "ipam": {"type": "static"}}, []),
        ({"plugins": [{"type": "bridge"}]}, []),
        ({"type": "bridge", "vlan": 100}, ["field-not-supported"]),
        ({"type": "macvlan", "master": "eth1", "mode": "vepa"}, []),
        ({"type": "macvlan", "master": "eth1", "mtu": 1400, "ipam": {"type": "dhcp"}}, ["field-without-effect"] * 2),
        ({"type": "macvlan", "master": "eth1", "linkInContainer": True}, ["field-not-supported"]),
        ({"type": "ipvlan", "master": "eth1"}, ["field-not-supported"]),
        ({"type": "bridge", "ipam": {"type": "dhcp"}}, ["field-not-supported"]),
        ({"type": "bridge", "macspoofchk": True}, ["field-without-effect"]),
        ({"plugins": [{"type": "bridge"}, {"type": "tuning"}]}, ["field-without-effect"]),
        ([], []),
    ],
)
def test_networks(config: Any, codes: list[str]) -> None:
    found = problems("NetworkAttachmentDefinition", {"config": json.dumps(config)})
    assert [code for code, _ in found] == codes


def test_a_vlan_says_why() -> None:
    (problem,) = all_of("NetworkAttachmentDefinition", {"config": '{"type": "bridge", "vlan": 5}'})
    assert "libvirt takes no VLAN tag on a Linux bridge" in problem.message


def test_a_broken_network_is_for_others_to_report() -> None:
    assert problems("NetworkAttachmentDefinition", {"config": "{"}) == []


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ({"http": {"url": "http://x"}}, []),
        ({"blank": {}}, []),
        ({"pvc": {"name": "a", "namespace": "b"}}, []),
        ({"registry": {"url": "docker://x"}}, ["field-not-supported"]),
        ({"upload": {}}, ["field-not-supported"]),
        ({"http": {"url": "http://x", "secretRef": "s", "certConfigMap": "c"}}, []),
    ],
)
def test_data_volumes(source: dict[str, Any], codes: list[str]) -> None:
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    found = problems("DataVolume", {"source": source, "storage": storage, "contentType": "kubevirt"})
    assert [code for code, _ in found] == codes


def test_claims() -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Block"}
    assert problems("PersistentVolumeClaim", claim) == []
    assert problems("PersistentVolumeClaim", claim | {"volumeName": "pv"}) == [
        ("field-not-supported", "spec.volumeName")
    ]


def test_every_field_of_a_spec_has_one_row_and_every_row_its_facts() -> None:
    names = [name for row in field_rows() for name in fields_of(row)]
    assert sorted(names) == sorted(["name", *(facts.name for facts in VM_FIELDS)])
    for devices, facts in zip(device_lists(), (DISK_FIELDS, INTERFACE_FIELDS), strict=True):
        fields = [name for row in devices.rows for name in fields_of(row) if name != "backing"]
        assert sorted(fields) == sorted(entry.name for entry in facts)


def test_refusals_give_reasons() -> None:
    assert all(shape.reason and shape.paths for shape in TABLE if isinstance(shape, Refused))
