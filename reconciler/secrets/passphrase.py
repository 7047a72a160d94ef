"""The passphrase of a storage class, from a file of this host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.model.errors import EngineError
from reconciler.model.policy import StorageClassPolicy
from reconciler.model.secret import Secret
from reconciler.private_files import NotPrivateError, check_directory, read_private_file

_MOST_BYTES = 4096
_SHORTEST = 20


def read_passphrase(storage_class: str, classes: Mapping[str, StorageClassPolicy]) -> Secret:
    """What the class's file holds, without a line break at its end.

    Raises:
        EngineError: the settings name none, it cannot be read, is open to others, or is too short to be one.
    """
    whose = f"the passphrase of storage class {storage_class!r}"
    chosen = classes.get(storage_class)
    if chosen is None or not chosen.passphrase_file:
        raise EngineError(f"{whose} is not in the settings: set storageClasses.NAME.encryption.passphraseFile again")
    path = Path(chosen.passphrase_file)
    try:
        check_directory(path.parent)
        content, _ = read_private_file(path, most_bytes=_MOST_BYTES)
    except NotPrivateError as error:
        raise EngineError(f"{whose}: {error.message}; {error.hint}") from error
    except OSError as error:
        raise EngineError(f"{whose} cannot be read from {path}: {error.strerror}; put it back") from error
    text = content.rstrip(b"\r\n")
    if len(text) < _SHORTEST:
        raise EngineError(f"{whose} in {path} has fewer than {_SHORTEST} characters; make one: openssl rand -base64 32")
    return Secret(text)
