"""Volumes that somebody takes out of a pool are told, and so is the return of those that are missed; nothing else is."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

from nodeexec.libvirt.connection import start_event_loop
from nodeexec.libvirt.pool_watch import PoolWatch

UNSURE = "?"
Told = queue.SimpleQueue[str]
PATIENCE_S = 60.0
"""For what is to come; it takes milliseconds, on a machine that is busy somewhat more."""


@pytest.fixture
def told() -> Told:
    return queue.SimpleQueue()


@pytest.fixture
def watch(told: Told) -> Iterator[PoolWatch]:
    start_event_loop()
    made = PoolWatch(changed=told.put, unsure=lambda: told.put(UNSURE))
    yield made
    made.end()


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool"
    path.mkdir()
    (path / "default_data.qcow2").write_text("data")
    return path


def nothing_more(told: Told) -> None:
    with pytest.raises(queue.Empty):
        told.get(timeout=0.2)


@pytest.mark.parametrize("take", [Path.unlink, lambda path: path.rename(path.parent.parent / "aside")])
def test_a_volume_that_goes_is_told(watch: PoolWatch, told: Told, pool: Path, take: Callable[[Path], object]) -> None:
    watch.begin()
    watch.keep([pool])
    watch.keep([pool])
    take(pool / "default_data.qcow2")
    assert told.get(timeout=PATIENCE_S) == "default_data.qcow2"
    nothing_more(told)


def test_what_is_made_or_written_is_not_told(watch: PoolWatch, told: Told, pool: Path) -> None:
    watch.keep([pool])
    watch.begin()
    (pool / "default_new.qcow2").write_text("made by gitvirt")
    (pool / ".gitvirt").mkdir()
    (pool / ".gitvirt/incoming.qcow2").write_text("moved in by gitvirt")
    (pool / ".gitvirt/incoming.qcow2").rename(pool / "default_moved.qcow2")
    with (pool / "default_data.qcow2").open("a") as file:
        file.write("what a guest writes")
    nothing_more(told)


def test_one_that_is_missed_is_told_once_when_it_is_whole(
    watch: PoolWatch, told: Told, pool: Path, tmp_path: Path
) -> None:
    watch.begin()
    watch.keep([pool])
    backup = (pool / "default_data.qcow2").rename(tmp_path / "backup")
    assert told.get(timeout=PATIENCE_S) == "default_data.qcow2"
    watch.expect_back(pool / "default_data.qcow2")
    with (pool / "default_data.qcow2").open("w") as file:
        file.write("half of it")
        nothing_more(told)
    assert told.get(timeout=PATIENCE_S) == "default_data.qcow2"
    shutil.copy(backup, pool / "default_data.qcow2")
    nothing_more(told)


def test_one_that_is_back_before_anybody_missed_it_is_told(watch: PoolWatch, told: Told, pool: Path) -> None:
    watch.begin()
    watch.expect_back(pool / "default_data.qcow2")
    assert told.get(timeout=PATIENCE_S) == "default_data.qcow2"


def test_a_directory_that_goes_is_told_and_one_that_was_never_there_is_no_fault(
    watch: PoolWatch, told: Told, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch.begin()
    for _ in range(3):
        watch.keep([tmp_path / "absent", pool])
    assert capsys.readouterr().out.count("files.not_watched") == 1
    shutil.rmtree(pool)
    assert [told.get(timeout=PATIENCE_S), told.get(timeout=PATIENCE_S)] == ["default_data.qcow2", UNSURE]
    pool.mkdir()
    watch.keep([pool])
    (pool / "default_web.raw").write_text("")
    (pool / "default_web.raw").unlink()
    assert told.get(timeout=PATIENCE_S) == "default_web.raw"
