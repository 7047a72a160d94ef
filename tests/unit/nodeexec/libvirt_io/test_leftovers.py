"""What a killed process leaves in a pool is removed, and nothing else: on a real directory, with libvirt's part played."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodeexec.libvirt import trash, volume_files
from nodeexec.libvirt.imports import Imports
from nodeexec.libvirt.leftovers import Leftovers
from nodeexec.libvirt.marks import to_json
from nodeexec.libvirt.pool_lock import busy, quiet
from nodeexec.libvirt.pools import Pool
from nodeexec.libvirt.settings import ImportLimits
from nodeexec.libvirt.volume_files import VolumeError, create_file, read_volume, write_file
from nodeexec.libvirt.volume_marks import attached_marks
from nodeexec.libvirt.volume_sidecars import read_sidecar, registered, write_sidecar
from nodeexec.simulated.clock import SimulatedClock
from reconciler.daemon.threads import ThreadWorkers
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from tests.unit.nodeexec.libvirt_io.test_files import KEY, MARKS, MOMENT, NAME, made, pool, without_xattrs

__all__ = ["pool", "without_xattrs"]

WEB = ObjectKey("VirtualMachine", "default", "web")
SEED = "default_web.seed.0123456789ab.iso"


@pytest.fixture
def sweep(pool: Pool) -> Callable[[], None]:
    """Sweeps the pool."""

    def run() -> None:
        policy = Policy(owner="tests", host="here", default_pool=pool.name)
        pools: Any = SimpleNamespace(read=lambda _name: pool, refresh=lambda _pool: None)
        nobody: Any = SimpleNamespace(emit=None)
        imports = Imports(
            pools=pools,
            events=nobody,
            clock=SimulatedClock(),
            workers=ThreadWorkers(),
            limits=ImportLimits(),
            keys=nobody,
        )
        observer: Any = SimpleNamespace(pools=lambda: ((pool.name, pool),))
        Leftovers(policy=policy, observer=observer, imports=imports).sweep()

    return run


def everything_in(pool: Pool) -> set[str]:
    return {str(path.relative_to(pool.target)) for path in pool.target.rglob("*") if path.is_file()}


def test_half_made_files_go_and_volumes_marks_and_trash_stay(pool: Pool, sweep: Callable[[], None]) -> None:
    made(pool)
    trash.trash_volume(pool, KEY, made_again(pool), "3", MOMENT)
    made(pool)
    before = everything_in(pool)
    (pool.private("incoming") / "default_gone.qcow2.new").write_bytes(b"half")
    (pool.private("incoming") / "default_begun.qcow2").mkdir()
    (pool.private("marks") / ".default_gone.qcow2.json.new").write_text("half")
    (pool.private("trash") / "20300102T030405Z_DataVolume_default_none").mkdir()
    sweep()
    assert everything_in(pool) == before
    assert [path.name for path in pool.private("incoming").iterdir()] == []
    assert len(list(pool.private("trash").iterdir())) == 1


def made_again(pool: Pool) -> Any:
    file = read_volume(pool, NAME)
    assert file is not None
    return file


def test_what_a_full_pool_could_not_register_is_registered_later(
    pool: Pool, sweep: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(volume_files, "write_sidecar", full)
    made(pool)
    write_file(pool, SEED, b"seed", attached_marks(MARKS.marks, WEB))
    (pool.target / "default_stranger.qcow2").write_bytes(b"somebody else's")
    assert list(registered(pool)) == []
    sweep()
    assert list(registered(pool)) == [NAME]
    assert read_sidecar(pool, NAME) == to_json(MARKS)
    before = everything_in(pool)
    sweep()
    assert everything_in(pool) == before


def test_nothing_is_swept_while_anybody_makes_something(pool: Pool, sweep: Callable[[], None]) -> None:
    half = pool.private("incoming") / "default_gone.qcow2.new"
    half.write_bytes(b"half")
    with busy(pool):
        sweep()
        assert half.exists()
    sweep()
    assert not half.exists()


def test_makers_wait_for_the_sweeper(pool: Pool) -> None:
    with busy(pool):
        pass
    with quiet(pool) as is_quiet:
        assert is_quiet
        maker = threading.Thread(target=lambda: made(pool))
        maker.start()
        maker.join(0.2)
        assert maker.is_alive()
        assert read_volume(pool, NAME) is None
    maker.join()
    assert read_volume(pool, NAME) is not None


def test_an_import_that_got_its_place_is_forgotten_and_one_at_work_or_to_be_done_is_not(
    pool: Pool, sweep: Callable[[], None]
) -> None:
    made(pool)
    base = pool.private("incoming")
    for name in (NAME, "default_later.qcow2", "default_busy.qcow2"):
        (base / name).mkdir()
        (base / name / "request.json").write_text(json.dumps({"key": "x"}))
    (pool.target / "default_busy.qcow2").write_bytes(b"")
    with (base / "default_busy.qcow2" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep()
        assert sorted(path.name for path in base.iterdir()) == ["default_busy.qcow2", "default_later.qcow2"]
    sweep()
    assert [path.name for path in base.iterdir()] == ["default_later.qcow2"]


def test_what_cannot_be_finished_leaves_nothing(pool: Pool) -> None:
    with pytest.raises(VolumeError):
        create_file(pool, NAME, format="qcow2", size_bytes=1 << 62, marks=MARKS)
    assert everything_in(pool) == {".gitvirt/lock"}


def test_the_register_knows_claims_only_and_forgets_what_is_released(pool: Pool) -> None:
    write_file(pool, SEED, b"seed", attached_marks(MARKS.marks, WEB))
    assert list(registered(pool)) == []
    file = made(pool)
    assert list(registered(pool)) == [NAME]
    trash.trash_volume(pool, KEY, file, "3", MOMENT)
    assert list(registered(pool)) == []


def test_a_volume_put_back_without_its_attribute_has_the_marks_of_the_register(pool: Pool) -> None:
    file = made(pool)
    content = file.path.read_bytes()
    file.path.unlink()
    file.path.write_bytes(content)
    with suppress(OSError):
        os.removexattr(file.path, "user.gitvirt")
    back = read_volume(pool, NAME)
    assert back is not None
    assert back.marks == MARKS


def test_a_volume_that_does_not_begin_as_its_format_is_damaged(pool: Pool) -> None:
    file = made(pool)
    with file.path.open("r+b") as opened:
        opened.write(bytes(64))
    with pytest.raises(VolumeError, match="is damaged"):
        read_volume(pool, NAME)


def test_a_full_pool_takes_only_the_register(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nodeexec.libvirt.volume_files.write_sidecar", full)
    assert made(pool).marks == MARKS
    monkeypatch.undo()
    write_sidecar(pool, NAME, "{}")
    assert Path(pool.target / ".gitvirt/marks" / f"{NAME}.json").read_text() == "{}"
