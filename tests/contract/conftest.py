"""The engines that the contract suite runs over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.simulated_world import SimulatedWorld
from tests.contract.world import World
from tests.live.requirement import require_libvirt


@pytest.fixture(params=["simulated", pytest.param("libvirt", marks=pytest.mark.live)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One engine on one host of its own; everything that a test made is gone afterwards."""
    if request.param == "simulated":
        made = SimulatedWorld()
        yield made
        made.engine.close()
        return
    require_libvirt()
    from tests.contract.libvirt_world import LibvirtWorld

    real = LibvirtWorld()
    try:
        yield real
    finally:
        real.clean_up()
