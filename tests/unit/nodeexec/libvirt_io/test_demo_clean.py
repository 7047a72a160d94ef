"""What cleans up after demos leaves nothing by which a later run could take a disk for lost, and nothing of others is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

from demo import clean
from demo.clean import remove_from_directory
from nodeexec.libvirt import trash
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.same_uri import canonical_uri
from nodeexec.libvirt.volume_files import create_file
from nodeexec.libvirt.volume_sidecars import registered
from reconciler.daemon.lock import OwnerLock
from reconciler.model.errors import LockedError
from reconciler.model.quantity import MIB
from tests.unit.nodeexec.libvirt_io.test_files import KEY, MARKS, MOMENT, NAME, made, pool

__all__ = ["pool"]

OTHERS = "default_others.qcow2"


def test_nothing_of_the_owner_stays_and_everything_of_others(pool: Pool) -> None:
    trash.trash_volume(pool, KEY, made(pool), "3", MOMENT)
    made(pool)
    theirs = replace(MARKS, marks=replace(MARKS.marks, owner="others"))
    create_file(pool, OTHERS, format="qcow2", size_bytes=MIB, marks=theirs)
    (pool.target / "a-strangers.qcow2").write_bytes(b"")
    removed = remove_from_directory(pool.target, MARKS.marks.owner)
    assert removed == [f"volume {NAME}", "trash 20300102T030405Z_DataVolume_default_root"]
    assert list(registered(pool)) == [OTHERS]
    assert trash.list_items(pool) == ()
    assert {path.name for path in pool.target.glob("*.qcow2")} == {OTHERS, "a-strangers.qcow2"}


def test_nothing_is_removed_under_a_daemons_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clean, "lock_directory", lambda *, shared: tmp_path)
    removed: list[str] = []
    monkeypatch.setattr(clean, "remove_everything_of", lambda owner: removed.append(owner) or [])
    with OwnerLock("lab", canonical_uri(clean.URI), tmp_path):
        assert clean.main(["lab"]) == LockedError.exit_code
    assert (removed, "Stop it first" in capsys.readouterr().err) == ([], True)
    assert clean.main(["lab"]) == 0
    assert removed == ["lab"]
