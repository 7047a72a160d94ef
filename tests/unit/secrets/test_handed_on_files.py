"""A Secret that is mounted for a pod belongs to root and to the pod's group: its user may read it, and nobody else's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.private_files import NotPrivateError, read_private_file

USER, GROUP = 65532, 65533


def read_as_user(path: Path) -> str:
    """What a user who is not root is told. The directory is entered before, as those above it are root's."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.chdir(path.parent)
            os.setgroups([GROUP])
            os.setgid(USER)
            os.setuid(USER)
            try:
                said = read_private_file(Path(path.name), most_bytes=100)[0]
            except NotPrivateError as fault:
                said = fault.message.encode()
            os.write(writing, said)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group and become another user")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "answer"),
    [
        (0, GROUP, 0o440, "secret"),
        (0, USER, 0o440, "secret"),
        (USER, GROUP, 0o400, "secret"),
        (0, GROUP, 0o460, "token is open to other users"),
        (0, GROUP, 0o444, "token is open to other users"),
        (0, 0, 0o444, "token is open to other users"),
        (USER, GROUP, 0o440, "token is open to other users"),
    ],
)
def test_a_file_handed_on_by_root(tmp_path: Path, owner: int, group: int, mode: int, answer: str) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "token"
    path.write_text("secret")
    os.chown(path, owner, group)
    path.chmod(mode)
    assert read_as_user(path) == answer
