"""One world for everything that happens to gitvirt's own files, clock and process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.requirement import require, require_libvirt

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld


@pytest.fixture(scope="session")
def stated() -> Iterator[StateWorld]:
    """A daemon, a repository, a guest that runs; all of it is gone afterwards."""
    require_libvirt()
    require("" if os.geteuid() == 0 else "a daemon on qemu:///system, and filesystems of one's own, need root")
    from tests.live.end_to_end.world import sweep_killed_runs
    from tests.live.state.world import StateWorld

    sweep_killed_runs()
    made = StateWorld()
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def untouched(stated: StateWorld) -> Iterator[dict[str, Any]]:
    """Whatever a test does: the guest runs on in its process, and no VM or disk becomes another."""
    before = stated.facts()
    yield before
    after = stated.facts()
    assert before["pid"] == after["pid"]
    assert before["domains"].items() <= after["domains"].items()
    assert before["disks"].items() <= after["disks"].items()
