"""Random and half-random input over the whole way in, bounded for ``make test``; ``make fuzz`` goes on from here, guided by coverage.

Whatever goes in: nothing is raised, every problem is one plain line with a place in its file, and the good object beside it is
there, with its XML.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.keys import ObjectKey
from tests.hostile.corpus import SMALL, network, vm
from tests.hostile.fuzz import GOOD_FILES, hold, mutated

SEEDS = [data for case in SMALL if len(data := case.data()) < 4000]
BOUNDS = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20),
    st.sampled_from(["../x", "a<b>&'\"", "\u202e", "x" * 300, "-rf", "$(x)", "1e999", "0x1p5", "64Mi", "[", "{{"]),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=400))
@BOUNDS
def test_bytes(data: bytes) -> None:
    hold(data)


@given(st.text("{}[]&*!|>'\"%@`,?:-#\n \tab0\\<~\u2028\ufeff\U0001f600", max_size=200))
@BOUNDS
def test_yaml_punctuation(text: str) -> None:
    hold(text.encode())


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
@settings(BOUNDS, max_examples=200)
def test_corpus_files_with_changes(seed: bytes, chance: Any) -> None:
    hold(mutated(seed, chance, SEEDS))


VM_FIELDS = (
    "metadata", "spec", "domain", "devices", "disks", "interfaces", "networks", "volumes", "template", "labels", "memory",
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("cpu", "firmware", "features", "clock", "machine", "resources"), ANYTHING)
    ),
    st.lists(
        st.fixed_dictionaries({"name": SCALARS}, optional={"disk": ANYTHING, "serial": SCALARS, "bootOrder": SCALARS}),
        max_size=3,
    ),
    st.lists(
        st.fixed_dictionaries({"name": SCALARS}, optional={"emptyDisk": ANYTHING, "cloudInitNoCloud": ANYTHING}),
        max_size=3,
    ),
    ANYTHING,
)
@settings(BOUNDS, max_examples=150)
def test_vms_with_odd_parts(domain: dict[str, Any], disks: list[Any], volumes: list[Any], hostname: Any) -> None:
    domain = {"memory": {"guest": "64Mi"}, "devices": {"disks": disks}, **domain}
    template = {"spec": {"domain": domain, "volumes": volumes, "hostname": hostname}}
    body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "odd"},
            "spec": {"runStrategy": "Always", "template": template}}  # fmt: skip
    hold(json.dumps(body).encode())


@given(st.dictionaries(st.sampled_from(
    ["type", "bridge", "ipam", "mtu", "vlan", "master", "mode", "plugins", "ipMasq", "isGateway", "dns", "name"]), ANYTHING),
    st.sampled_from(["bridge", "macvlan", "cnv-bridge", "/bin/sh"]), ANYTHING)  # fmt: skip
@settings(BOUNDS, max_examples=200)
def test_networks_with_odd_parts(config: dict[str, Any], kind: str, ipam: Any) -> None:
    given_ = {"type": kind, "bridge": "br-x", "master": "eth1", "ipam": ipam, **config}
    hold(network("odd", given_).encode())
    hold(network("odd", {"plugins": [given_]}).encode())


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
@BOUNDS
def test_texts_that_reach_the_xml(serial: str, annotation: str, hostname: str) -> None:
    text = vm(
        "odd",
        metadata=f", annotations: {{a: {json.dumps(annotation)}}}",
        disks=f"{{name: x, serial: {json.dumps(serial)}, disk: {{bus: virtio}}}}",
        volumes="{name: x, emptyDisk: {capacity: 1Mi}}",
        template=f"      hostname: {json.dumps(hostname)}",
    )
    hold(text.encode("utf-8", "surrogatepass"))


def test_the_check_itself_sees_the_good_object() -> None:
    assert ObjectKey("VirtualMachine", "default", "good") in hold(b"")
    assert "good.yaml" in GOOD_FILES
