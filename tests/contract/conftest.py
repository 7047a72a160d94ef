"""The engines that the contract suite runs over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CONTRACT_RAN_ON
from tests.contract.simulated_world import SimulatedWorld
from tests.contract.world import World
from tests.live.requirement import require_libvirt


@pytest.fixture(params=["simulated", pytest.param("libvirt", marks=pytest.mark.live), "kubevirt"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """One engine on one host of its own; everything that a test made is gone afterwards."""
    match request.param:
        case "simulated":
            yield from _simulated()
        case "libvirt":
            yield from _libvirt()
        case _:
            yield from _kubevirt(request, tmp_path)


def _simulated() -> Iterator[World]:
    made = SimulatedWorld()
    yield made
    made.engine.close()


def _libvirt() -> Iterator[World]:
    require_libvirt()
    from tests.contract.libvirt_world import LibvirtWorld

    real = LibvirtWorld()
    try:
        yield real
    finally:
        real.clean_up()


def _kubevirt(request: pytest.FixtureRequest, directory: Path) -> Iterator[World]:
    """On the real API server; where there is none and none is asked for, on the one in memory."""
    from tests.cluster.planes import is_required, why_none
    from tests.contract.kubevirt_world import KubevirtWorld

    needed = request.node.get_closest_marker("needs")
    if needed is not None and (why := KubevirtWorld.traits.absent.get(needed.args[0])):
        pytest.skip(f"does not apply to a cluster: {why}")
    cluster = request.getfixturevalue("cluster" if is_required() or not why_none() else "emulated")
    for namespace in cluster.namespace():
        played = KubevirtWorld(cluster, namespace, directory)
        request.node.user_properties.append((CONTRACT_RAN_ON, played.server))
        try:
            yield played
        finally:
            played.clean_up()
