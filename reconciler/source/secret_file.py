"""Credentials of a Git server, each in a file of its own that only root can read."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.secret import Secret
from reconciler.private_files import NotPrivateError, read_private_file
from reconciler.source.errors import CredentialError

_LONGEST_BYTES = 16 * 1024


def read_secret(path: Path, what: str) -> Secret:
    """The one line in a file, without its line break. ``what`` is the setting that names the file.

    Raises:
        CredentialError: unreadable, open to others, or not one line of text. The message holds nothing of the content.
    """
    data = _read(path, what).rstrip(b"\r\n")
    if not data or any(byte < 0x20 or byte == 0x7F for byte in data):
        raise CredentialError(f"{what} {path} must hold one line of text and nothing else")
    return Secret(data)


def check_key_file(path: Path, what: str) -> None:
    """Refuse a private key that ssh would refuse, with a message that says what to do.

    Raises:
        CredentialError: unreadable, or open to others.
    """
    _read(path, what)


def _read(path: Path, what: str) -> bytes:
    try:
        return read_private_file(path, most_bytes=_LONGEST_BYTES)[0]
    except NotPrivateError as fault:
        raise CredentialError(f"{what} {fault.message}; {fault.hint}") from fault
    except OSError as fault:
        raise CredentialError(f"{what} {path} cannot be read: {fault.strerror}") from fault
