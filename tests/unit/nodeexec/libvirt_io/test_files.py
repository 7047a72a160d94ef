"""Volumes as files, their marks, and the trash: on a real directory, without libvirt."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodeexec.libvirt import trash, volume_files
from nodeexec.libvirt.image_chain import backing_of, overlays_on
from nodeexec.libvirt.marks import DomainMarks, UnreadableMarks
from nodeexec.libvirt.pool_lock import quiet
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.volume_files import (
    NameTakenError,
    VolumeError,
    create_file,
    grow_file,
    list_names,
    read_volume,
    run_tool,
    take_name,
    write_file,
    write_marks,
)
from nodeexec.libvirt.volume_marks import claim_marks, kind_of, source_of, storage_class_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Marks
from reconciler.model.moment import Moment
from reconciler.model.quantity import MIB
from reconciler.model.resolved import SourceKind, VolumeSource

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
MOMENT = Moment(boot_id="this", monotonic_s=1000.0, at=NOW)
KEY = ObjectKey("DataVolume", "default", "root")
NAME = "default_root.qcow2"
SOURCE = VolumeSource(kind=SourceKind.HTTP, url="http://images/root.img", checksum="sha256:00")
MARKS = claim_marks(
    Marks(owner="tests", host="here", revision="1", applied={"kind": "DataVolume"}, created_at=NOW),
    KEY.kind,
    SOURCE,
    "fast",
)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(name="default", target=tmp_path)


@pytest.fixture
def without_xattrs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filesystem that takes no extended attributes."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(95, "Operation not supported")

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)


def made(pool: Pool, name: str = NAME, size_bytes: int = 4 * MIB) -> volume_files.VolumeFile:
    create_file(pool, name, format=name.rpartition(".")[2], size_bytes=size_bytes, marks=MARKS)
    file = read_volume(pool, name)
    assert file is not None
    return file


@pytest.mark.parametrize("name", [NAME, "default_root.raw"])
def test_a_new_volume_has_its_marks_its_size_and_nobody_elses_eyes(pool: Pool, name: str) -> None:
    file = made(pool, name)
    assert (file.marks, file.size_bytes, file.format) == (MARKS, 4 * MIB, name.rpartition(".")[2])
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert list(list_names(pool)) == [name]
    assert not list(pool.private("incoming").iterdir())


def test_marks_live_beside_the_volume_where_the_filesystem_takes_none(pool: Pool, without_xattrs: None) -> None:
    file = made(pool)
    assert file.marks == MARKS
    changed = replace(MARKS, marks=replace(MARKS.marks, revision="2"))
    write_marks(pool, file.path, NAME, changed)
    again = read_volume(pool, NAME)
    assert again is not None
    assert again.marks == changed
    write_marks(pool, file.path, NAME, None)
    released = read_volume(pool, NAME)
    assert released is not None
    assert released.marks is None


def test_marks_too_large_for_an_attribute_go_beside_the_volume(pool: Pool) -> None:
    large = replace(MARKS, marks=replace(MARKS.marks, applied={"text": "x" * 200_000}))
    file = made(pool)
    write_marks(pool, file.path, NAME, large)
    again = read_volume(pool, NAME)
    assert again is not None
    assert again.marks == large
    write_marks(pool, file.path, NAME, MARKS)
    small = read_volume(pool, NAME)
    assert small is not None
    assert small.marks == MARKS
    assert os.getxattr(file.path, volume_files.XATTR)


def test_damaged_marks_are_unreadable_and_not_foreign(pool: Pool) -> None:
    file = made(pool)
    os.setxattr(file.path, volume_files.XATTR, b"{not json")
    again = read_volume(pool, NAME)
    assert again is not None
    assert isinstance(again.marks, UnreadableMarks)


def test_a_name_is_never_taken_from_a_file_that_has_it(pool: Pool) -> None:
    (pool.target / NAME).write_bytes(b"somebody's")
    with pytest.raises(NameTakenError):
        made(pool)
    assert (pool.target / NAME).read_bytes() == b"somebody's"


def test_a_name_is_never_taken_on_a_filesystem_without_links(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made(pool)
    fresh = pool.target / "fresh"
    fresh.write_bytes(b"new")
    with pytest.raises(NameTakenError):
        take_name(fresh, pool.target / NAME)
    take_name(fresh, pool.target / "free")
    assert (pool.target / "free").read_bytes() == b"new"


def test_what_an_earlier_attempt_left_is_made_anew(pool: Pool) -> None:
    (pool.private("incoming") / f"{NAME}.new").write_bytes(b"half")
    assert made(pool).size_bytes == 4 * MIB


@pytest.mark.parametrize("name", ["../escape.raw", "a/b.raw", "", ".hidden", "x\0y", "-" * 2])
def test_a_name_never_leads_out_of_the_pool(pool: Pool, name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        pool.path(name)


def test_a_symlink_is_no_volume(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to("/etc/passwd")
    with pytest.raises(VolumeError, match="plain file"):
        read_volume(pool, NAME)
    assert list(list_names(pool)) == []


def test_a_private_directory_that_is_a_symlink_is_refused(pool: Pool, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".gitvirt").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError):
        pool.private("trash")
    assert list(elsewhere.iterdir()) == []


def test_volumes_grow_and_never_shrink(pool: Pool) -> None:
    for name in (NAME, "default_root.raw"):
        file = made(pool, name)
        grow_file(file, 8 * MIB)
        grown = read_volume(pool, name)
        assert grown is not None
        assert (grown.size_bytes, grown.marks) == (8 * MIB, MARKS)
        with pytest.raises(VolumeError, match="only grow"):
            grow_file(grown, 4 * MIB)


def test_a_seed_is_for_root_alone(pool: Pool) -> None:
    write_file(pool, "default_web.seed.0123456789ab.iso", b"secret", MARKS)
    path = pool.target / "default_web.seed.0123456789ab.iso"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"secret", 0o600)


def test_what_stands_on_a_volume_is_found(pool: Pool) -> None:
    file = made(pool)
    run_tool(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", NAME, "-F", "qcow2", str(pool.target / "overlay.qcow2")],
        "test",
    )
    assert backing_of(pool.target / "overlay.qcow2") == file.path
    assert overlays_on(pool, file.path) == ("overlay.qcow2",)
    assert backing_of(file.path) is None


def test_a_tool_is_bounded_in_time() -> None:
    with pytest.raises(VolumeError, match="did not end"):
        run_tool(["sleep", "5"], "sleeping", timeout_s=0.2)
    with pytest.raises(VolumeError, match="cannot be run"):
        run_tool(["no-such-tool-here"], "running")


def test_the_facts_of_a_claim_are_in_its_marks() -> None:
    assert (kind_of(MARKS), source_of(MARKS), storage_class_of(MARKS)) == ("DataVolume", SOURCE, "fast")


def trashed(pool: Pool) -> trash.StoredItem:
    facts = trash.trash_volume(pool, KEY, made(pool), "3", MOMENT)
    item = trash.find_item(pool, facts.item)
    assert item is not None
    return item


def test_trash_keeps_the_file_and_says_all_about_it(pool: Pool) -> None:
    item = trashed(pool)
    facts = item.facts
    assert facts.item == "20300102T030405Z_DataVolume_default_root"
    assert (facts.key, facts.owner, facts.source, facts.storage_class) == (KEY, "tests", SOURCE, "fast")
    assert (facts.size_bytes, facts.format, facts.pool, facts.trashed_at) == (4 * MIB, "qcow2", "default", NOW)
    assert item.trashed == MOMENT.kernel_time
    assert read_volume(pool, NAME) is None
    assert trash.list_items(pool) == (item,)
    assert item.file.exists()


def test_two_of_one_second_have_two_names(pool: Pool) -> None:
    first, second = trashed(pool), trashed(pool)
    assert second.facts.item == f"{first.facts.item}_2"
    assert [item.facts.item for item in trash.list_items(pool)] == [first.facts.item, second.facts.item]


def test_what_is_taken_back_has_new_marks_and_the_old_bytes(pool: Pool) -> None:
    file = made(pool)
    inode = file.path.stat().st_ino
    facts = trash.trash_volume(pool, KEY, file, "3", MOMENT)
    item = trash.find_item(pool, facts.item)
    assert item is not None
    marks = replace(MARKS, marks=replace(MARKS.marks, revision="9"))
    trash.take_back(pool, item, NAME, marks)
    back = read_volume(pool, NAME)
    assert back is not None
    assert (back.marks, back.path.stat().st_ino) == (marks, inode)
    assert trash.list_items(pool) == ()
    assert not list(pool.private("trash").iterdir())


def test_a_crash_while_trashing_or_taking_back_shows_one_of_the_two_never_both(pool: Pool) -> None:
    item = trashed(pool)
    os.link(item.file, pool.target / NAME)
    assert trash.list_items(pool) == ()
    (pool.target / NAME).unlink()
    assert trash.list_items(pool) == (item,)
    item.file.rename(pool.target / NAME)
    assert trash.list_items(pool) == ()
    again = trashed_again(pool)
    assert [found.facts.item for found in trash.list_items(pool)] == [again]
    assert [*trash.remove_unfinished(pool, "somebody else")] == []
    assert [*trash.remove_unfinished(pool, "tests")] == [item.facts.item]
    assert [entry.name for entry in pool.private("trash").iterdir()] == [again]


def test_nobody_sweeps_up_what_is_being_destroyed(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its file it looks like a left-over, and would be gone before its directory is."""
    item = trashed(pool)
    could_sweep: list[bool] = []
    rmtree = shutil.rmtree

    def look_and_remove(directory: Path) -> None:
        with quiet(pool) as is_quiet:
            could_sweep.append(is_quiet)
        rmtree(directory)

    monkeypatch.setattr(shutil, "rmtree", look_and_remove)
    trash.destroy_item(pool, item)
    assert (could_sweep, trash.list_items(pool)) == ([False], ())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"key": "no key"}', "\udcff"])
def test_a_damaged_item_is_named_with_what_to_do(pool: Pool, text: str) -> None:
    item = trashed(pool)
    (item.directory / "item.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=f"{item.facts.item}/item.json is damaged .*; put it right, or move") as raised:
        trash.list_items(pool)
    assert "put it right, or move the directory out of the trash" in str(raised.value)


def trashed_again(pool: Pool) -> str:
    file = read_volume(pool, NAME)
    assert file is not None
    return trash.trash_volume(pool, KEY, file, "4", MOMENT).item


def test_a_foreign_file_is_never_trashed(pool: Pool) -> None:
    (pool.target / NAME).write_bytes(b"somebody's")
    file = read_volume(pool, NAME)
    assert file is not None
    with pytest.raises(VolumeError, match="not touched"):
        trash.trash_volume(pool, KEY, file, "3", MOMENT)
    assert (pool.target / NAME).exists()


@pytest.mark.parametrize("item", ["..", "../../etc", "x", "20300102T030405Z_DataVolume_default_root/..", ""])
def test_an_items_name_is_no_path(pool: Pool, item: str) -> None:
    pool.private("trash")
    assert trash.find_item(pool, item) is None


def test_marks_of_a_domain_are_read_like_those_of_a_volume() -> None:
    assert isinstance(MARKS, DomainMarks)


def test_a_trash_that_is_full_keeps_the_volume_and_stays_readable(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(pool)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VolumeError, match="No space left"):
        trash.trash_volume(pool, KEY, file, "3", MOMENT)
    monkeypatch.undo()
    assert read_volume(pool, NAME) == file
    assert trash.list_items(pool) == ()
    assert not list(pool.private("trash").iterdir())
