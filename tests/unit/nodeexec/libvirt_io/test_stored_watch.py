"""Definitions that are written are told by name, and nothing else is."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

from nodeexec.libvirt.connection import start_event_loop
from nodeexec.libvirt.stored_watch import StoredWatch

Told = queue.SimpleQueue[tuple[str, str]]
PATIENCE_S = 60.0
"""For what is to come; it takes milliseconds, on a machine that is busy somewhat more."""


def store(path: Path) -> None:
    """As libvirt does it."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text("<domain/>")
    beside.rename(path)


@pytest.fixture
def told() -> Told:
    return queue.SimpleQueue()


@pytest.fixture
def watch(told: Told) -> Iterator[StoredWatch]:
    start_event_loop()
    made = StoredWatch(
        domain=lambda name: told.put(("domain", name)),
        network=lambda name: told.put(("network", name)),
        overflowed=lambda: told.put(("everything", "")),
    )
    yield made
    made.end()


def test_what_is_written_is_told(watch: StoredWatch, told: Told, tmp_path: Path) -> None:
    (tmp_path / "networks").mkdir()
    watch.begin(tmp_path)
    (tmp_path / "notes.txt").write_text("nobody's definition")
    store(tmp_path / "default_web.xml")
    assert told.get(timeout=PATIENCE_S) == ("domain", "default_web")
    store(tmp_path / "networks" / "default_backend.xml")
    assert told.get(timeout=PATIENCE_S) == ("network", "default_backend")
    watch.end()
    store(tmp_path / "default_web.xml")
    with pytest.raises(queue.Empty):
        told.get(timeout=0.2)


def test_a_directory_that_is_not_there_is_no_fault(watch: StoredWatch, told: Told, tmp_path: Path) -> None:
    watch.begin(tmp_path / "absent")
    watch.end()
    watch.begin(tmp_path)  # without networks/
    store(tmp_path / "a_b.xml")
    assert told.get(timeout=PATIENCE_S) == ("domain", "a_b")
