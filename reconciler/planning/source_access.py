"""What opens the source of an image: credentials and headers from Secrets, authorities from a ConfigMap.

Source: CDI's DataVolume API (``http.secretRef``, ``extraHeaders``, ``secretExtraHeaders``, ``certConfigMap``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from reconciler.model.document import Document, dotted
from reconciler.model.keys import ObjectKey
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import SourceAccess
from reconciler.model.secret import Secret
from reconciler.planning.redact import MASK
from reconciler.planning.seed import MissingReferenceError, object_files
from reconciler.planning.unresolvable import UnresolvableError

USER_ENTRY, PASSWORD_ENTRY = "accessKeyId", "secretKey"
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", re.ASCII)
_NOT_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "range"})


def source_access(
    document: Document, http: Mapping[str, Any], documents: Mapping[ObjectKey, Document]
) -> SourceAccess | None:
    """What the download needs beyond the shown URL. None when the address itself is not at hand: in a last applied document
    it is masked.

    Raises:
        MissingReferenceError: a Secret or ConfigMap is not there, or lacks an entry.
        UnresolvableError: a header is none.
    """
    parts = urlsplit(str(http.get("url", "")))
    if parts.query.startswith(MASK):
        return None
    headers = [*_authorization(document, parts, http, documents), *_extra_headers(document, http, documents)]
    return SourceAccess(
        url=Secret(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).encode()),
        headers=tuple(headers),
        authorities=_authorities(document, http, documents),
    )


def _authorization(
    document: Document, parts: SplitResult, http: Mapping[str, Any], documents: Mapping[ObjectKey, Document]
) -> Iterator[tuple[str, Secret]]:
    """Basic authentication: from the Secret, else from the URL."""
    if http.get("secretRef"):
        key = ObjectKey("Secret", document.key.namespace, str(http["secretRef"]))
        entries = object_files(key, documents)
        for entry in (USER_ENTRY, PASSWORD_ENTRY):
            if entry not in entries:
                raise MissingReferenceError(key, f"{key} has no entry {entry!r}")
        pair = entries[USER_ENTRY].strip(b"\r\n") + b":" + entries[PASSWORD_ENTRY].strip(b"\r\n")
    elif parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    else:
        return
    yield "Authorization", Secret(b"Basic " + base64.b64encode(pair))


def _extra_headers(
    document: Document, http: Mapping[str, Any], documents: Mapping[ObjectKey, Document]
) -> Iterator[tuple[str, Secret]]:
    for index, line in enumerate(http.get("extraHeaders") or ()):
        yield _header(document, line, "extraHeaders", index)
    for index, name in enumerate(http.get("secretExtraHeaders") or ()):
        entries = object_files(ObjectKey("Secret", document.key.namespace, name), documents)
        for _, content in sorted(entries.items()):
            for line in content.decode("latin-1").splitlines():
                if line.strip():
                    yield _header(document, line, "secretExtraHeaders", index)


def _header(document: Document, line: str, field: str, index: int) -> tuple[str, Secret]:
    match = _HEADER.fullmatch(line.strip())
    if match is None or match[1].lower() in _NOT_OURS:
        path = ("spec", "source", "http", field, index)
        said = (
            "is no header that can be sent" if match is None else f"sets {match[1]}, which the connection sets itself"
        )
        hint = "write `Name: value` on one line"
        raise UnresolvableError(
            problem("source-header-invalid", document.place(path), f"{dotted(path)} {said}", object=document.key,
                    path=dotted(path), hint=hint)
        )  # fmt: skip
    return match[1], Secret(match[2].encode("latin-1", errors="replace"))


def _authorities(document: Document, http: Mapping[str, Any], documents: Mapping[ObjectKey, Document]) -> str:
    """The PEM text of the authorities to trust beside the system's."""
    name = http.get("certConfigMap")
    if not name:
        return ""
    entries = object_files(ObjectKey("ConfigMap", document.key.namespace, str(name)), documents)
    return "\n".join(content.decode("ascii", errors="replace") for _, content in sorted(entries.items()))
