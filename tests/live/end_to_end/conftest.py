"""One world for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORRECTED
from tests.live.requirement import require_libvirt

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

GENEROUS_MS = 20_000
"""A shared machine may be busy with other things, or stand still; the figures that are printed are what counts. What no event
told of is found minutes later.
"""


@pytest.fixture(scope="session")
def world(demo_image: Path) -> Iterator[World]:
    """A repository, a daemon and a host of this run's own; all of it is gone afterwards."""
    require_libvirt()
    from tests.live.end_to_end.world import World, sweep_killed_runs

    sweep_killed_runs()
    made = World(demo_image)
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture
def alpha(world: World) -> World:
    """The world, with the VM ``alpha`` (runStrategy Always, a second NIC, a data disk) running, booted and settled."""
    from tests.live.end_to_end.manifests import claim, network, vm

    world.declare(
        {
            "backend.yaml": network("backend", world.bridge(1), world.subnet(1)),
            "alpha-data.yaml": claim("alpha-data", "32Mi"),
            "alpha.yaml": vm("alpha", nics=("backend",), disks=("alpha-data",)),
        },
        "alpha, with a disk and a network",
    )
    world.until_running("alpha")
    world.until_agent("alpha")
    world.until_settled()
    return world


@pytest.fixture
def corrected(record_property: Callable[[str, object], None]) -> Callable[[World, str, str, str], None]:
    """Insist that the journal tells of a drift's correction, in time, and keep the figure for the end of the run."""

    def insist(world: World, what: str, key: str, since: str) -> None:
        found = world.corrected(key, since)
        record_property(CORRECTED, (what, found.after_ms))
        assert found.after_ms < GENEROUS_MS, found.message

    return insist
