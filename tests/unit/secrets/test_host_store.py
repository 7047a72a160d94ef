"""The host's own secrets: what is read, what is refused and why, and that changes are noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.secrets.host_store import HostStore

DB = ObjectKey("Secret", "prod", "db")
IDENTITY = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "secrets"
    (root / "prod" / "db").mkdir(parents=True)
    write(root / "prod" / "db" / "password", b"hunter2")
    return root


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_files_are_entries(directory: Path) -> None:
    reading = HostStore(directory).read()
    assert reading.problems == ()
    (secret,) = reading.secrets
    assert (secret.key, secret.problems) == (DB, ())
    assert {name: value.reveal for name, value in secret.data.items()} == {"password": b"hunter2"}
    assert "hunter2" not in repr(reading)


def test_a_changed_file_is_another_version_and_an_unchanged_one_is_not(directory: Path) -> None:
    store = HostStore(directory)
    first = store.read()
    assert store.read().version == first.version
    write(directory / "prod" / "db" / "password", b"hunter3")
    second = store.read()
    assert second.version != first.version
    assert second.secrets[0].data["password"].reveal == b"hunter3"
    (directory / "prod" / "db" / "password").unlink()
    assert store.read().secrets[0].data == {}


def test_the_layout_of_a_mounted_secret_is_read(directory: Path) -> None:
    mounted = directory / "prod" / "mounted"
    (mounted / "..2026").mkdir(parents=True)
    write(mounted / "..2026" / "token", b"abc")
    (mounted / "..data").symlink_to("..2026")
    (mounted / "token").symlink_to("..data/token")
    found = {secret.key.name: secret for secret in HostStore(directory).read().secrets}
    assert found["mounted"].data["token"].reveal == b"abc"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.parent.chmod(0o775), "chmod go-w"),
        pytest.param(
            lambda path: os.chown(path, 12345, 0),
            "chown root",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
        ),
        (lambda path: os.truncate(path, 2 << 20), "more than"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "leads out of"),
        (lambda path: (path.unlink(), path.symlink_to("nothing")), "cannot be read"),
        (lambda path: (path.unlink(), os.mkfifo(path, 0o600)), "not a regular file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    ],
    ids=["open", "writable directory", "foreign", "large", "outside", "dangling", "fifo", "directory"],
)
def test_one_bad_file_makes_its_secret_invalid_and_no_other(directory: Path, damage: object, says: str) -> None:
    (directory / "prod" / "other").mkdir()
    write(directory / "prod" / "other" / "key", b"x")
    damage(directory / "prod" / "db" / "password")
    found = {secret.key.name: secret for secret in HostStore(directory).read().secrets}
    (problem,) = found["db"].problems
    assert problem.code == "secret-file-refused"
    assert says in f"{problem.message} {problem.hint}"
    assert "hunter2" not in str(problem)
    assert found["other"].problems == ()


def test_a_directory_that_cannot_be_used_is_one_problem(tmp_path: Path, directory: Path) -> None:
    directory.chmod(0o777)
    for path in (directory, tmp_path / "nowhere"):
        reading = HostStore(path).read()
        assert [one.code for one in reading.problems] == ["secrets-directory"]
        assert reading.secrets == ()


def test_several_identities_and_comments(tmp_path: Path) -> None:
    file = write(tmp_path / "keys", f"# created: today\n{IDENTITY}\n\n{IDENTITY}\n".encode())
    assert [one.reveal.decode() for one in HostStore(age_key_file=file).read().identities] == [IDENTITY, IDENTITY]


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (IDENTITY, 0o644, "chmod 600"),
        ("# nothing", 0o600, "no age identity"),
        (f"{IDENTITY}\nhunter2", 0o600, "line 2"),
    ],
)
def test_a_key_file_that_cannot_be_used(tmp_path: Path, content: str, mode: int, says: str) -> None:
    reading = HostStore(age_key_file=write(tmp_path / "keys", content.encode(), mode)).read()
    (problem,) = reading.problems
    assert says in f"{problem.message} {problem.hint}"
    assert "hunter2" not in str(problem)
    assert reading.identities == ()
