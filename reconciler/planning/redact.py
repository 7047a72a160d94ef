"""The applied document: a manifest as it may be remembered and shown, secrets as keyed digests (law 11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.document import Document
from reconciler.model.live import LiveObject
from reconciler.model.secret import SECRET_FIELDS

Digest = Callable[[bytes], str]
"""Keyed digest of secret bytes, 12 hex digits: equal for equal secrets, useless without the key."""

MASK = "digest:"
"""Begins a secret as it may be shown."""

SOURCE = "gitvirt.io/source"
"""Annotation of the applied document: the identity of the source that it came from (`Origin.identity`)."""

_KEPT = 256
"""An object is resolved again whenever it changes on the host; its manifest is the same one."""
_MAPPINGS = (dict, Mapping)  # nearly everything is a dictionary, which is quicker to tell than a Mapping
_USER_PART = re.compile(r"(?<=://)[^\s/?#]*@")
_SERVER_WRITTEN = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp"}
)


def applied_document(document: Document, digest: Digest) -> dict[str, Any]:
    """What the live object remembers of its manifest: without status and server-written metadata, without secrets, and
    with the source it came from. It is never written to: what is made of one document now and again is one thing.
    """
    return _applied_document(document, digest)


@lru_cache(maxsize=_KEPT)
def _applied_document(document: Document, digest: Digest) -> dict[str, Any]:
    body = {name: value for name, value in document.body.items() if name != "status"}
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping):
        body["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVER_WRITTEN}
    if document.key.kind == "Secret":
        for field in ("data", "stringData"):
            if isinstance(body.get(field), Mapping):
                body[field] = {name: mask(value, digest) for name, value in body[field].items()}
    if document.origin:
        metadata = dict(body.get("metadata") or {})
        annotations = {**(metadata.get("annotations") or {}), SOURCE: document.origin}
        body["metadata"] = {**metadata, "annotations": annotations}
    redacted: dict[str, Any] = _redacted(body, digest)
    return redacted


def source_of(live: LiveObject) -> str:
    """The identity of the source that a live object came from; empty when its marks do not say."""
    metadata = ((live.marks.applied if live.marks else None) or {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(SOURCE, ""))


def mask(value: Any, digest: Digest) -> str:
    """A secret as it may be shown. A value that is masked already stays as it is."""
    text = value if isinstance(value, str) else repr(value)
    return text if text.startswith(MASK) else f"{MASK}{digest(text.encode())}"


def without_credentials(text: str) -> str:
    """Text without the user and password of any URL in it."""
    return _USER_PART.sub("", text)


def shown_url(url: str, digest: Digest) -> str:
    """A URL as it may be remembered and shown: without user and password, its query as a keyed digest (signed addresses
    carry their credentials there). Equal URLs stay equal, others stay others; one that is shown already stays as it is.
    """
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return urlunsplit(bare._replace(query=mask(bare.query, digest)) if bare.query else bare)


def _redacted(node: Any, digest: Digest) -> Any:
    if isinstance(node, str):
        return without_credentials(node) if "://" in node else node
    if isinstance(node, _MAPPINGS):
        return {name: _entry(name, value, digest) for name, value in node.items()}
    if isinstance(node, list):
        return [_redacted(item, digest) for item in node]
    return node


def _entry(name: str, value: Any, digest: Digest) -> Any:
    if name in SECRET_FIELDS:
        return [mask(item, digest) for item in value] if isinstance(value, list) else mask(value, digest)
    if name == "url" and isinstance(value, str):
        return shown_url(value, digest)
    return _redacted(value, digest)
