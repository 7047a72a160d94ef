"""A commit deletes a VM with its disks; `git revert` brings both back as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_deletion_goes_to_the_trash_and_a_revert_brings_the_data_back(alpha: World) -> None:
    world = alpha
    uuid = world.domain("alpha").UUIDString()
    world.guest("alpha", "echo 'the ledger of 2026' > /data/ledger; echo kept > /persist/kept; sync")
    world.declare({"alpha.yaml": None, "alpha-data.yaml": None}, "alpha is not needed any more")
    world.until("alpha is gone", lambda: world.row("alpha") is None)

    def trashed() -> set[str]:
        return {item["object"] for item in world.cli_json("trash", "list")}

    expected = {
        world.key("alpha-data", "PersistentVolumeClaim"),
        world.key("alpha-system", "DataVolume"),
        world.key("alpha"),
    }
    world.until("the trash has its disks", lambda: expected <= trashed(), every_s=1.0)
    names = {domain.name() for domain in world.connection.listAllDomains()}
    assert f"{world.namespace}_alpha" not in names
    world.until_settled()

    mark = world.mark()
    world.revert()
    world.until_running("alpha")
    assert world.guest("alpha", "cat /data/ledger /persist/kept").split("\n") == ["the ledger of 2026", "kept"]
    assert world.domain("alpha").UUIDString() == uuid
    assert not {key for key in trashed() if "DataVolume" in key or "PersistentVolumeClaim" in key}
    world.until_settled()
    told = world.git("log", "--format=%B", f"{mark}..HEAD", at=world.journal)
    assert "restored from trash: " in told
