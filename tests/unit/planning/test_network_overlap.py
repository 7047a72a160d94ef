"""Networks whose addresses overlap."""

from __future__ import annotations

import pytest

from reconciler.model.resolved import DesiredState
from reconciler.planning.offline import as_if_live
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import POLICY, claim, declared, digest, observed, vm


def network(name: str, subnet: str) -> str:
    ipam = f'"ipam": {{"type": "host-local", "subnet": "{subnet}"}}' if subnet else '"mtu": 1400'
    return f"""
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {{name: {name}}}
spec: {{config: '{{"type": "bridge", {ipam}}}'}}
---
"""


def state(text: str, live: str = "") -> DesiredState:
    before = resolve(declared(live), observed(), policy=POLICY, digest=digest) if live else None
    there = [as_if_live(thing, POLICY, "r0") for thing in before.objects.values()] if before else []
    return resolve(declared(text), observed(*there), policy=POLICY, digest=digest)


def lost(found: DesiredState) -> set[str]:
    assert {key.name for key in found.invalid} == {one.object.name for one in found.trouble.values() if one.object}
    assert {one.code for one in found.trouble.values()} <= {"network-overlap"}
    return {key.name for key in found.invalid}


@pytest.mark.parametrize(
    ("subnets", "both_lost"),
    [
        (("10.1.0.0/24", "10.1.1.0/24"), set()),
        (("10.1.0.0/24", "10.1.0.0/24"), {"a", "b"}),
        (("10.1.0.0/16", "10.1.200.0/24"), {"a", "b"}),
        (("10.1.0.0/16", "fd00::/64"), set()),
        (("fd00::/48", "fd00:0:0:7::/64"), {"a", "b"}),
        (("", ""), set()),
        (("10.77.1.0/24", "10.2.0.0/24"), {"a"}),
    ],
)
def test_pairs(subnets: tuple[str, str], both_lost: set[str]) -> None:
    assert lost(state(network("a", subnets[0]) + network("b", subnets[1]))) == both_lost


def test_the_one_that_is_there_keeps_its_addresses() -> None:
    first, second = network("a", "10.1.0.0/24"), network("b", "10.1.0.0/16")
    found = state(first + second, live=first)
    assert lost(found) == {"b"}
    (problem,) = found.trouble.values()
    assert (problem.path, problem.message) == (
        "spec.config",
        "its addresses overlap 10.1.0.0/24 of NetworkAttachmentDefinition/default/a",
    )


def test_one_that_holds_several_is_told_with_each() -> None:
    text = (
        network("a", "10.1.0.0/16")
        + network("b", "10.1.1.0/24")
        + network("c", "10.1.2.0/24")
        + network("d", "10.2.0.0/24")
    )
    assert lost(state(text)) == {"a", "b", "c"}


def test_a_vm_on_such_a_network_is_blocked_by_it() -> None:
    on_it = vm("web").replace("volumes:", "networks: [{name: lan, multus: {networkName: a}}]\n      volumes:")
    on_it = on_it.replace("devices:", "devices:\n          interfaces: [{name: lan, bridge: {}}]")
    found = state(network("a", "10.77.0.0/24") + on_it + claim("web-root"))
    (reason, by) = next(iter(found.blocked.values()))
    assert [key.name for key in by] == ["a"] and "not in the repository or not valid" in reason
    assert all("the pod network (settings.podNetwork)" in one.message for one in found.trouble.values())
