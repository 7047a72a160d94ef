"""Secrets stand in files that others cannot read. They are read at each use, so that they can be replaced at any time."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.model.secret import Secret
from reconciler.source.errors import CredentialError

_LONGEST_BYTES = 16 * 1024
_OTHERS = stat.S_IRWXO | stat.S_IWGRP
_GROUP = stat.S_IRWXG


def read_secret(path: Path, what: str) -> Secret:
    """The one line in a file, without its line break. ``what`` is the setting that names the file.

    Raises:
        CredentialError: unreadable, open to others, or not one line of text. The message holds nothing of the content.
    """
    try:
        with path.open("rb") as stream:
            _refuse_open(path, what, os.fstat(stream.fileno()), _OTHERS)
            data = stream.read(_LONGEST_BYTES + 1).rstrip(b"\r\n")
    except OSError as fault:
        raise CredentialError(f"{what} {path} cannot be read: {fault.strerror}") from fault
    if not data or len(data) > _LONGEST_BYTES or any(byte < 0x20 or byte == 0x7F for byte in data):
        raise CredentialError(f"{what} {path} must hold one line of text and nothing else")
    return Secret(data)


def check_key_file(path: Path, what: str) -> None:
    """Refuse a private key that ssh would refuse, with a message that says what to do.

    Raises:
        CredentialError: unreadable, or open to anybody but its owner.
    """
    try:
        with path.open("rb") as stream:
            _refuse_open(path, what, os.fstat(stream.fileno()), _OTHERS | _GROUP)
    except OSError as fault:
        raise CredentialError(f"{what} {path} cannot be read: {fault.strerror}") from fault


def _refuse_open(path: Path, what: str, facts: os.stat_result, mask: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise CredentialError(f"{what} {path} is not a file")
    if facts.st_mode & mask:
        raise CredentialError(f"{what} {path} is open to other users; run: chmod 600 {path}")
    if facts.st_uid not in (0, os.geteuid()):
        raise CredentialError(f"{what} {path} belongs to another user, who could replace it; run: chown root {path}")
