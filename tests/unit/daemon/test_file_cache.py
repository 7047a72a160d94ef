"""The cache on disk: what it keeps, what it throws away, and that no fault of it reaches anybody."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from reconciler.daemon.file_cache import FileCache
from reconciler.daemon.fingerprint import fingerprint

BLOBS = [f"{number:040x}" for number in range(5000)]


class Said(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


def opened(path: Path, meaning: str = "1") -> FileCache:
    def never(fault: str) -> None:
        raise AssertionError(fault)

    return FileCache(path, meaning, never)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "files.sqlite"


def filled(path: Path, count: int = 3) -> None:
    cache = opened(path)
    for blob in BLOBS[:count]:
        cache.put(blob, b"data of " + blob.encode())
    cache.close()


def test_what_was_put_is_there_after_a_restart(path: Path) -> None:
    filled(path)
    cache = opened(path)
    assert cache.get(BLOBS[2]) == b"data of " + BLOBS[2].encode()
    assert cache.get(BLOBS[4]) is None
    cache.put(BLOBS[2], b"other")
    cache.flush()
    assert cache.get(BLOBS[2]) == b"other"


def test_only_the_owner_may_read_it(path: Path) -> None:
    filled(path)
    cache = opened(path)
    cache.put(BLOBS[0], b"x")
    cache.flush()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert len(files) == 3  # SQLite's two beside it
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_another_meaning_makes_it_empty(path: Path) -> None:
    filled(path)
    assert opened(path, "2").get(BLOBS[0]) is None
    assert opened(path, "1").get(BLOBS[0]) is None


def test_it_may_be_deleted_at_any_time(path: Path) -> None:
    filled(path)
    cache = opened(path)
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    cache.put(BLOBS[0], b"x")
    cache.close()
    assert opened(path).get(BLOBS[1]) is None


@pytest.mark.parametrize("spoil", ["garbage", "cut", "zeros", "not ours"])
def test_a_damaged_file_is_made_anew(path: Path, spoil: str) -> None:
    filled(path, 2000)
    whole = path.read_bytes()
    match spoil:
        case "garbage":
            path.write_bytes(b"no database at all" * 1000)
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "zeros":
            path.write_bytes(whole[:20_000] + bytes(len(whole) - 20_000))
        case "not ours":
            path.unlink()
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE files (something INTEGER)")
    said = Said()
    cache = FileCache(path, "1", said)
    for blob in BLOBS[:2000]:
        assert cache.get(blob) in (None, b"data of " + blob.encode())
    cache.put(BLOBS[0], b"anew")
    cache.close()
    again = opened(path)
    again.put(BLOBS[1], b"whole")
    again.close()
    assert opened(path).get(BLOBS[1]) == b"whole"


@pytest.mark.parametrize(
    "change", ["data = x'64617461'", "checksum = checksum + 1", "blob = x'00'", "data = (SELECT max(data) FROM files)"]
)
def test_a_row_that_is_not_what_was_put_is_not_used(path: Path, change: str) -> None:
    filled(path)
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE files SET {change} WHERE blob = ?", (bytes.fromhex(BLOBS[0]),))
    other.close()
    cache = opened(path)
    assert cache.get(BLOBS[0]) is None
    assert cache.get(BLOBS[1]) == b"data of " + BLOBS[1].encode()


def test_a_place_that_cannot_be_used_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = Said()
    cache = FileCache(tmp_path / "file" / "files.sqlite", "1", said)
    cache.put(BLOBS[0], b"x")
    cache.flush()
    cache.shrink(0, list)
    assert cache.get(BLOBS[0]) is None
    cache.close()
    assert len(said) == 1 and "not used" in said[0]


def test_another_process_that_holds_it_is_not_waited_for_long(path: Path) -> None:
    filled(path)
    said = Said()
    cache = FileCache(path, "1", said)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    cache.put(BLOBS[4], b"x")
    cache.flush()
    assert len(said) == 1 and "locked" in said[0]
    holder.rollback()
    holder.close()
    assert opened(path).get(BLOBS[0]) == b"data of " + BLOBS[0].encode()


def test_what_no_revision_needs_goes_when_it_is_more_than_half(path: Path) -> None:
    filled(path, 4000)
    cache = opened(path)
    cache.shrink(1500, lambda: BLOBS[:1500])
    assert cache.get(BLOBS[3999]) is not None
    cache.shrink(900, lambda: BLOBS[:900])
    assert cache.get(BLOBS[3999]) is None
    assert cache.get(BLOBS[899]) is not None
    cache.shrink(900, lambda: BLOBS[:900])
    cache.close()


def test_a_fingerprint_depends_on_the_settings_and_is_stable() -> None:
    assert fingerprint("default") == fingerprint("default") != fingerprint("other")
