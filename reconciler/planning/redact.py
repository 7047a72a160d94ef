"""The applied document: a manifest as it may be remembered and shown, secrets as keyed digests (law 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.document import Document
from reconciler.model.secret import GUEST_DATA_FIELDS

Digest = Callable[[bytes], str]
"""Keyed digest of secret bytes, 12 hex digits: equal for equal secrets, useless without the key."""

SOURCE = "gitvirt.io/source"
"""Annotation of the applied document: what was followed when it was applied (see `Origin.identity`)."""

_SERVER_WRITTEN = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp"}
)


def applied_document(document: Document, digest: Digest, source: str = "") -> dict[str, Any]:
    """What the live object remembers of its manifest: without status and server-written metadata, without secrets, and
    with the ``source`` it came from.
    """
    body = {name: value for name, value in document.body.items() if name != "status"}
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping):
        body["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVER_WRITTEN}
    if document.key.kind == "Secret":
        for field in ("data", "stringData"):
            if isinstance(body.get(field), Mapping):
                body[field] = {name: mask(value, digest) for name, value in body[field].items()}
    if source:
        metadata = dict(body.get("metadata") or {})
        body["metadata"] = {**metadata, "annotations": {**(metadata.get("annotations") or {}), SOURCE: source}}
    redacted: dict[str, Any] = _redacted(body, digest)
    return redacted


def mask(value: Any, digest: Digest) -> str:
    """A secret as it may be shown. A value that is masked already stays as it is."""
    text = value if isinstance(value, str) else repr(value)
    return text if text.startswith("digest:") else f"digest:{digest(text.encode())}"


def without_credentials(url: str) -> str:
    """A URL without its user and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _redacted(node: Any, digest: Digest) -> Any:
    if isinstance(node, Mapping):
        return {
            name: mask(value, digest) if name in GUEST_DATA_FIELDS else _redacted(value, digest)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_redacted(item, digest) for item in node]
    if isinstance(node, str) and "://" in node:
        return without_credentials(node)
    return node
