"""Names on the host: each owner has a pod network of its own, and a NIC on somebody else's is a foreign one."""

from __future__ import annotations

from dataclasses import replace

from nodeexec.libvirt.domain_xml import build, parse
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.marks import DomainMarks, to_metadata
from nodeexec.libvirt.naming import key_of_network, network_name
from reconciler.model.domain import CpuSpec, DomainSpec, InterfaceSpec
from reconciler.model.keys import POD_NETWORK
from reconciler.model.live import Marks

SPEC = DomainSpec(
    name="default_web",
    uuid="11111111-2222-5333-8444-555555555555",
    serial="s",
    cpu=CpuSpec(sockets=1, cores=1, max_sockets=1),
    memory_mib=128,
    interfaces=(InterfaceSpec(name="default", network="PodNetwork/pod", mac="02:00:00:00:00:01"),),
)


def marks_of(owner: str) -> str:
    return to_metadata(DomainMarks(marks=Marks(owner=owner, host="h", revision="", applied={})))


def test_the_pod_network_of_each_owner_has_a_name_of_its_own() -> None:
    assert network_name(POD_NETWORK, "gitvirt") == "gitvirt-pod"
    assert network_name(POD_NETWORK, "team_b") == "gitvirt-pod.team_b"
    assert key_of_network("gitvirt-pod") == key_of_network("gitvirt-pod.team_b") == POD_NETWORK
    other = key_of_network("gitvirt-pod_b")
    assert other is not None and other.kind == "NetworkAttachmentDefinition"


def test_a_nic_is_read_back_for_its_own_owner_only() -> None:
    xml = build(SPEC, Flavour(owner="team_b"), metadata=marks_of("team_b"))
    assert 'network="gitvirt-pod.team_b"' in xml
    assert parse(xml).spec == SPEC
    moved = parse(xml.replace('network="gitvirt-pod.team_b"', 'network="gitvirt-pod"')).spec
    assert moved == replace(SPEC, interfaces=(replace(SPEC.interfaces[0], network="foreign:network gitvirt-pod"),))
