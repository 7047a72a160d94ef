"""The root-only key with which digests of secrets are made, so that a digest cannot be guessed back to its secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from reconciler.model.errors import RequirementError

KEY_BYTES = 32
DIGEST_CHARACTERS = 12

Digest = Callable[[bytes], str]


def keyed_digest(key: bytes) -> Digest:
    """HMAC-SHA256 under ``key``, as its first 12 hex digits."""

    def digest(data: bytes) -> str:
        return hmac.new(key, data, hashlib.sha256).hexdigest()[:DIGEST_CHARACTERS]

    return digest


def numbering_digest() -> Digest:
    """For plans made without the key: the first distinct secret is 1, the next 2, and so on, as 12 hex digits.

    Equal secrets get equal digests and different ones different digests, the same ones in every run; and unlike a hash
    without a key, nobody can guess a password from the output.
    """
    seen: dict[bytes, str] = {}

    def digest(data: bytes) -> str:
        return seen.setdefault(data, f"{len(seen) + 1:0{DIGEST_CHARACTERS}x}")

    return digest


def load_key(path: Path) -> bytes:
    """The key.

    Raises:
        RequirementError: unreadable, of another size, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise RequirementError(
            f"key file {path} cannot be read: {error.strerror}. Run as root, or set keyFile."
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RequirementError(f"key file {path} is open to other users; run: chmod 600 {path}")
        key = stream.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise RequirementError(
            f"key file {path} does not hold {KEY_BYTES} bytes. Restore it from a backup; without one, remove it, and "
            "digests made with the old key will count as unknown, not as drift."
        )
    return key


def ensure_key(path: Path) -> tuple[bytes, bool]:
    """The key, made on the first run, and whether it was made now. The file appears whole or not at all.

    Raises:
        RequirementError: it can neither be read nor made.
    """
    if path.is_symlink() or path.exists():
        return load_key(path), False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:
        return load_key(path), False
    except OSError as error:
        raise RequirementError(
            f"key file {path} cannot be made: {error.strerror}. Run as root, or set keyFile."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return load_key(path), True
