"""Live objects as documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodeexec.libvirt.live_document import document_of
from reconciler.model.domain import ClaimSource, CpuSpec, DiskSpec, DomainSpec, InterfaceSpec, SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Lease, LiveInterface, LiveNetwork, LiveVm, LiveVolume, Marks
from reconciler.model.power import PowerState, StopReason
from reconciler.model.resolved import NetworkSpec

SPEC = DomainSpec(
    name="default_web",
    uuid="u",
    serial="s",
    cpu=CpuSpec(cores=2),
    memory_mib=4096,
    disks=(
        DiskSpec(name="root", source=ClaimSource(namespace="default", claim="pvc", pool="p", format="raw")),
        DiskSpec(name="init", source=SeedSource(digest="a" * 12)),
    ),
    interfaces=(InterfaceSpec(name="default", network="PodNetwork/pod", mac="02:00:00:00:00:01"),),
)
VM = LiveVm(
    key=ObjectKey("VirtualMachine", "default", "web"),
    fingerprint="f",
    marks=Marks(owner="gitvirt", host="h1", revision="abc", applied={"spec": {"secret": "digest:1"}}),
    stored=SPEC,
    running=SPEC,
    power=PowerState.RUNNING,
    interfaces=(
        LiveInterface(name="default", mac="02:00:00:00:00:01", ips=("10.0.0.5", "fe80::1"), guest_name="eth0"),
    ),
    guest_agent=True,
    guest_os="Debian GNU/Linux 12",
    machine="pc-q35-7.2",
)


def conditions(document: Any) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in document["status"]["conditions"]}


def test_a_running_vm() -> None:
    document = document_of(VM)
    status = document["status"]
    assert (document["apiVersion"], document["kind"]) == ("kubevirt.io/v1", "VirtualMachineInstance")
    assert document["metadata"]["annotations"] == {"gitvirt.io/owner": "gitvirt", "gitvirt.io/revision": "abc"}
    assert status["phase"] == "Running"
    assert conditions(document) == {"Ready": "True", "AgentConnected": "True", "LiveMigratable": "False"}
    (nic,) = status["interfaces"]
    assert (nic["ipAddress"], nic["ipAddresses"], nic["interfaceName"]) == ("10.0.0.5", ["10.0.0.5", "fe80::1"], "eth0")
    assert status["volumeStatus"][0]["persistentVolumeClaimInfo"] == {"claimName": "pvc"}
    assert status["guestOSInfo"] == {"prettyName": "Debian GNU/Linux 12"}
    assert status["nodeName"] == "h1"
    assert document["spec"]["domain"]["memory"] == {"guest": "4Gi"}


@pytest.mark.parametrize(
    ("power", "reason", "phase"),
    [
        (PowerState.PAUSED, StopReason.UNKNOWN, "Running"),
        (PowerState.CRASHED, StopReason.UNKNOWN, "Failed"),
        (PowerState.OFF, StopReason.GUEST, "Succeeded"),
        (PowerState.OFF, StopReason.FAILED, "Failed"),
        (PowerState.OFF, StopReason.NEVER_RAN, "Pending"),
        (PowerState.UNKNOWN, StopReason.UNKNOWN, "Unknown"),
    ],
)
def test_phases(power: PowerState, reason: StopReason, phase: str) -> None:
    running = SPEC if power in (PowerState.PAUSED, PowerState.UNKNOWN) else None
    document = document_of(replace(VM, power=power, stop_reason=reason, running=running))
    assert document["status"]["phase"] == phase
    assert conditions(document)["Ready"] == "False"
    assert conditions(document).get("Paused") == ("True" if power is PowerState.PAUSED else None)


def test_a_vm_of_which_little_is_known() -> None:
    bare = replace(VM, stored=None, running=None, marks=None, power=PowerState.UNKNOWN, interfaces=())
    assert document_of(bare)["spec"] == {}


def test_volumes_and_networks() -> None:
    volume = LiveVolume(
        key=ObjectKey("DataVolume", "default", "d"),
        fingerprint="f",
        marks=None,
        pool="p",
        volume="default_d.qcow2",
        format="qcow2",
        size_bytes=1 << 30,
        phase="ImportInProgress",
        progress=0.4,
    )
    document = document_of(volume)
    assert (document["status"]["phase"], document["status"]["progress"]) == ("ImportInProgress", "40%")
    claim = document_of(replace(volume, key=ObjectKey("PersistentVolumeClaim", "default", "d"), phase="Succeeded"))
    assert (claim["status"]["phase"], claim["status"]["capacity"]) == ("Bound", {"storage": "1Gi"})
    network = LiveNetwork(
        key=ObjectKey("NetworkAttachmentDefinition", "default", "lab"),
        fingerprint="f",
        marks=None,
        network=NetworkSpec(bridge="b"),
        active=True,
        leases=(Lease(mac="m", ip="10.0.0.1"),),
    )
    status = document_of(network)["status"]
    assert (status["phase"], status["leases"]) == ("Active", [{"mac": "m", "ip": "10.0.0.1"}])
