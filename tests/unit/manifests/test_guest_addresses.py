"""Fixed addresses in cloud-init's network data, and two VMs with the same one."""

from __future__ import annotations

import base64

import pytest

from reconciler.manifests.guest_addresses import static_addresses
from reconciler.model.problem import Severity
from tests.unit.manifests.samples import NETWORK, assembled

VERSION_2 = """\
network:
  version: 2
  ethernets:
    eth0: {match: {macaddress: "02:00:00:00:00:01"}, addresses: [10.0.0.5/24, {"fd00::5/64": {label: a}}], dhcp4: false}
    eth1: {dhcp4: true}
"""
VERSION_1 = """\
version: 1
config:
- {type: physical, name: eth0, mac_address: "02:00:00:00:00:01", subnets: [{type: static, address: 10.0.0.5/24}, {type: dhcp}]}
"""
OPENSTACK = """\
{"links": [{"id": "l", "ethernet_mac_address": "02:00:00:00:00:01"}],
 "networks": [{"type": "ipv4", "link": "l", "ip_address": "10.0.0.5"}, {"type": "ipv4_dhcp", "link": "l"}]}
"""
MAC = "02:00:00:00:00:01"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (VERSION_2, (("10.0.0.5", MAC), ("fd00::5", MAC))),
        (VERSION_1, (("10.0.0.5", MAC),)),
        (OPENSTACK, (("10.0.0.5", MAC),)),
        ("ethernets: {a: {addresses: [10.0.0.9]}}", (("10.0.0.9", ""),)),
        ("", ()),
        ("[1", ()),
        ("just text", ()),
        ("network: 5", ()),
        ("ethernets: {a: {addresses: [300.0.0.1/24, 7, null], match: x}, b: 3}", ()),
        ("config: [{subnets: {}}, 5]", ()),
        ("a: &a [*a]", ()),
    ],
)
def test_what_is_fixed(written: str, found: tuple[tuple[str, str], ...]) -> None:
    assert static_addresses(written) == found
    assert static_addresses(base64.b64encode(written.encode()).decode(), is_base64=True) == found


def machine(name: str, address: str, interfaces: str, networks: str) -> str:
    return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {{guest: 1Gi}}
        devices: {{disks: [{{name: seed, disk: {{}}}}], interfaces: [{interfaces}]}}
      networks: [{networks}]
      volumes:
      - name: seed
        cloudInitNoCloud:
          userData: a
          networkData: |
            ethernets: {{eth0: {{match: {{macaddress: "{MAC}"}}, addresses: [{address}]}}}}
"""


LAN = "{name: lan, multus: {networkName: multus-external-network}}"
POD = "{name: pod, pod: {}}"
ON_LAN, ON_POD = "{name: lan, bridge: {}}", "{name: pod, masquerade: {}}"


def test_the_same_address_on_one_network_is_a_warning_at_both() -> None:
    found = assembled(NETWORK, machine("a", "10.0.0.5/24", ON_LAN, LAN), machine("b", "10.0.0.5/16", ON_LAN, LAN))
    assert [(one.code, one.severity, one.path) for one in found.problems] == [
        ("address-duplicate", Severity.WARNING, "spec.template.spec.volumes[0].cloudInitNoCloud.networkData")
    ] * 2
    assert found.contests == () and dict(found.invalid.items()) == {}
    assert (
        "10.0.0.5 on default/multus-external-network is also used by VirtualMachine/default/b"
        in found.problems[0].message
    )


@pytest.mark.parametrize(
    "other",
    [
        machine("b", "10.0.0.6/24", ON_LAN, LAN),
        machine("b", "10.0.0.5/24", ON_POD, POD),
        machine("b", "10.0.0.5/24", f"{ON_POD}, {ON_LAN}", f"{POD}, {LAN}"),
    ],
)
def test_another_address_another_network_and_one_that_nobody_knows_are_fine(other: str) -> None:
    assert assembled(NETWORK, machine("a", "10.0.0.5/24", ON_LAN, LAN), other).problems == ()


def test_with_several_cards_the_mac_tells_the_network() -> None:
    cards = f'{ON_POD}, {{name: lan, bridge: {{}}, macAddress: "{MAC}"}}'
    other = machine("b", "10.0.0.5/24", cards, f"{POD}, {LAN}")
    found = assembled(NETWORK, machine("a", "10.0.0.5/24", ON_LAN, LAN), other)
    assert [one.code for one in found.problems] == ["address-duplicate"] * 2
