"""The SOPS format: documents of one file whose values are encrypted where they stand, and whose MAC covers them all.

Pure: the keys are passed in. Nothing that was decrypted is ever part of a fault's message.

Source: the SOPS project's description of its encryption protocol; checked against files that `sops` wrote.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.manifests.sealed import SOPS
from reconciler.manifests.sops_metadata import Metadata, SopsFaultError
from reconciler.manifests.walk import children, pairs
from reconciler.model.document import FieldPath, dotted

"""The top-level key under which a document's metadata stands."""

_TAG_BYTES = 16
_NONCE_BYTES = (8, 128)
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]", re.ASCII)
_ONLY_ENCRYPTED = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
"""What a MAC over encrypted values alone begins with, so that it never equals one over all values."""


def without_metadata(body: Mapping[str, Any], marks: array[int]) -> tuple[dict[str, Any], array[int]]:
    """The document without its ``sops`` entry, and the walk of its marks without that entry's."""
    at = next(at for name, _, at in children(body, 0) if name == SOPS)
    end = at + pairs(body[SOPS])
    rest = {name: value for name, value in body.items() if name != SOPS}
    return rest, array("I", marks[: 2 * (at - 1)] + marks[2 * end :])


@dataclass(frozen=True, slots=True)
class Opened:
    """One document in plain text, and where its encrypted values stand."""

    body: Any
    encrypted: tuple[FieldPath, ...]


def open_documents(bodies: Sequence[Mapping[str, Any]], metadata: Metadata, data_key: bytes) -> tuple[Opened, ...]:
    """Decrypt the documents that share ``metadata``, in the order of their file, and check their MAC.

    Raises:
        SopsFaultError: a value or the MAC is not what was encrypted.
    """
    reader = _Reader(metadata, AESGCM(data_key))
    opened = tuple(reader.document(body) for body in bodies)
    reader.check_mac()
    return opened


def placeholder_documents(bodies: Iterable[Mapping[str, Any]]) -> tuple[Opened, ...]:
    """The documents as they are without any key: encrypted values stay their cipher text, in a Secret's ``data`` as base64."""
    opened = []
    for body in bodies:
        paths: list[FieldPath] = []
        opened.append(Opened(_placeholders(body, (), paths), tuple(paths)))
    return tuple(opened)


def _placeholders(node: Any, path: FieldPath, found: list[FieldPath]) -> Any:
    if isinstance(node, Mapping):
        return {name: _placeholders(value, (*path, name), found) for name, value in node.items()}
    if isinstance(node, list):
        return [_placeholders(value, (*path, index), found) for index, value in enumerate(node)]
    if not isinstance(node, str) or not _ENCRYPTED.fullmatch(node):
        return node
    found.append(path)
    return base64.b64encode(node.encode()).decode() if path[0] == "data" else node


class _Reader:
    """Walks documents as SOPS does: values in the order of the file, each with the keys above it as associated data."""

    def __init__(self, metadata: Metadata, cipher: AESGCM) -> None:
        self._metadata = metadata
        self._cipher = cipher
        self._hash = hashlib.sha512(_ONLY_ENCRYPTED if metadata.mac_only_encrypted else b"")

    def document(self, body: Any) -> Opened:
        paths: list[FieldPath] = []
        return Opened(self._value(body, (), paths), tuple(paths))

    def check_mac(self) -> None:
        """Raises SopsFaultError when the values are not those that were encrypted."""
        said = self._decrypted(self._metadata.mac, self._metadata.last_modified, "sops.mac")
        if not hmac.compare_digest(said[0], self._hash.hexdigest().upper().encode()):
            raise SopsFaultError(
                "sops-mac",
                "the MAC over the values does not fit: a value was changed, added, moved or removed without sops",
                "edit the file with `sops FILE` only, or restore it from Git's history",
            )

    def _value(self, node: Any, path: FieldPath, found: list[FieldPath]) -> Any:
        if isinstance(node, Mapping):
            return {name: self._value(value, (*path, name), found) for name, value in node.items()}
        if isinstance(node, list):
            return [self._value(value, (*path, index), found) for index, value in enumerate(node)]
        if node is None:
            return None
        names = tuple(str(part) for part in path if not isinstance(part, int))
        if not self._metadata.is_encrypted(names):
            if not self._metadata.mac_only_encrypted:
                self._hash.update(_mac_bytes(node))
            return node
        if node == "":
            return node
        value = self._plain(node, names, path)
        found.append(path)
        return value

    def _plain(self, node: Any, names: Sequence[str], path: FieldPath) -> Any:
        where = dotted(path)
        if not isinstance(node, str):
            raise SopsFaultError("sops-value", f"{where} should be encrypted and is not", path=path)
        data, kind = self._decrypted(node, ":".join(names) + ":", where, path)
        value = _typed(data, kind, where, path)
        self._hash.update(_mac_bytes(value))
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _decrypted(self, text: str, associated: str, where: str, path: FieldPath = ()) -> tuple[bytes, str]:
        """(plain bytes, type) of one ``ENC[…]``.

        Raises:
            SopsFaultError: it is not one, or was not encrypted with this key at this place.
        """
        match = _ENCRYPTED.fullmatch(text)
        if match is None:
            raise SopsFaultError("sops-value", f"{where} should be encrypted and is not", path=path)
        try:
            data, nonce, tag = (base64.b64decode(part, validate=True) for part in match.groups()[:3])
        except binascii.Error as error:
            raise SopsFaultError("sops-value", f"{where} is damaged: its base64 cannot be read", path=path) from error
        low, high = _NONCE_BYTES
        if len(tag) != _TAG_BYTES or not low <= len(nonce) <= high:
            raise SopsFaultError("sops-value", f"{where} is damaged: a part has the wrong length", path=path)
        try:
            return self._cipher.decrypt(nonce, data + tag, associated.encode()), match[4]
        except InvalidTag as error:
            text = f"{where} cannot be decrypted: it was changed, or moved here from another place"
            raise SopsFaultError("sops-value", text, path=path) from error


def _typed(data: bytes, kind: str, where: str, path: FieldPath) -> Any:
    """A decrypted value as what it was before it was encrypted.

    Raises:
        SopsFaultError: there is no such type, or the value is not of it.
    """
    try:
        text = data.decode()
        match kind:
            case "str" | "bytes" | "time" | "comment":
                return text
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
    except ValueError:
        pass
    # Nothing of the value, and no exception that quotes it.
    raise SopsFaultError("sops-value", f"{where} does not hold a value of its type ({kind[:20]})", path=path) from None


def _mac_bytes(value: Any) -> bytes:
    """A value as the MAC takes it."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize(), "f").encode()
    return str(value).encode()


def grouped(metadata: Iterable[Any]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Documents by the metadata they share, as (metadata, their numbers): sops repeats it in every document of a file."""
    groups: list[tuple[Any, list[int]]] = []
    for number, one in enumerate(metadata):
        known = next((numbers for shared, numbers in groups if shared == one), None)
        if known is None:
            groups.append((one, [number]))
        else:
            known.append(number)
    yield from ((shared, tuple(numbers)) for shared, numbers in groups)
