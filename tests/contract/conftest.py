"""The engines that the contract suite runs over."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.contract.simulated_world import SimulatedWorld
from tests.contract.world import World

LIVE = "GITVIRT_REQUIRE_LIVE"


@pytest.fixture(params=["simulated", pytest.param("libvirt", marks=pytest.mark.live)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One engine on one host of its own; everything that a test made is gone afterwards."""
    if request.param == "simulated":
        made = SimulatedWorld()
        yield made
        made.engine.close()
        return
    reason = libvirt_missing()
    if reason:
        if os.environ.get(LIVE) == "1":
            pytest.fail(f"{LIVE}=1, but {reason}")
        pytest.skip(reason)
    from tests.contract.libvirt_world import LibvirtWorld

    real = LibvirtWorld()
    try:
        yield real
    finally:
        real.clean_up()


def libvirt_missing() -> str:
    """Why the libvirt engine cannot be tested here, empty when it can."""
    try:
        import libvirt
    except ImportError:
        return "the Python module libvirt is not installed"
    try:
        libvirt.open("qemu:///system").close()
    except libvirt.libvirtError as error:
        return f"libvirtd cannot be reached: {error}"
    return ""
