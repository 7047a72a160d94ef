"""A file of several documents, read document by document, so that after a change only those with another text are read.

It is a short cut for files without any fault: whatever is odd about a file, or wrong with a document, sends it the long way
round through `load.load_blob`, which finds and explains it. So both ways always give the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from reconciler.manifests.limits import DEFAULT_LIMITS, ParseLimits
from reconciler.manifests.load import LoadedFile, LoadedPart, load_documents
from reconciler.manifests.raw_text import RawText
from reconciler.manifests.sealed import is_sealed
from reconciler.manifests.strict_yaml import DOCUMENT_START, ParsedStream, read_documents
from reconciler.manifests.yaml_reader import DocumentReader, RefusedError
from reconciler.model.document import Document

_DIGEST_BYTES = 16
# Directives belong to a document that begins below them, ``...`` ends one early, and line breaks other than \n (and a byte
# order mark, which is none but counts as nothing) would be counted differently.
_ODD_LINES = (b"%", b"...")
_ODD_BREAKS = (b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xef\xbb\xbf")


@dataclass(frozen=True, slots=True)
class _Text:
    """The text from one ``---`` to the next; ``line`` is the number of its first line."""

    data: bytes
    line: int

    @property
    def digest(self) -> bytes:
        """Equal for equal texts."""
        return hashlib.blake2b(self.data, digest_size=_DIGEST_BYTES).digest()


def load_in_parts(
    data: bytes,
    file: str,
    known: LoadedFile | None = None,
    *,
    origin: str = "",
    default_namespace: str = "default",
    limits: ParseLimits = DEFAULT_LIMITS,
) -> LoadedFile | None:
    """What `load_blob` gives for a file without a fault; None for all others, and for files of one document.

    ``known`` is the file as it was before, of which is taken over what is still there.
    """
    if len(data) > limits.file_bytes or _is_odd(data) or not _is_utf8(data):
        return None
    starts = [0, *(match.start() for match in DOCUMENT_START.finditer(data) if match.start())]
    if not 1 < len(starts) <= limits.documents:
        return None
    before = _taken_apart(known) if known is not None and known.origin == origin else {}
    reader, raw = DocumentReader(file, limits), RawText(data)
    documents: list[Document] = []
    parts: list[LoadedPart] = []
    for text in _texts(data, starts):
        digest = text.digest
        if digest in before:
            part, held = before[digest]
            documents += (one.moved(text.line - part.line) for one in held)
            reader.used += part.nodes
            parts.append(LoadedPart(digest, text.line, len(held), part.nodes))
            continue
        used = reader.used
        loaded = _load(text, reader, raw, origin, default_namespace)
        if loaded is None:
            return None
        documents += loaded.documents
        parts.append(LoadedPart(digest, text.line, len(loaded.documents), reader.used - used))
    # Near the limit the long way decides: it also counts what is there for a moment only.
    if 2 * reader.used > limits.nodes:
        return None
    return LoadedFile(file=file, origin=origin, documents=tuple(documents), parts=tuple(parts))


def _is_odd(data: bytes) -> bool:
    return (
        data.startswith(_ODD_LINES)
        or any(b"\n" + start in data for start in _ODD_LINES)
        or any(line_break in data for line_break in _ODD_BREAKS)
        or data.count(b"\r") != data.count(b"\r\n")
    )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _texts(data: bytes, starts: list[int]) -> Iterator[_Text]:
    line = 1
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        text = data[start:end]
        yield _Text(text, line)
        line += text.count(b"\n")


def _taken_apart(known: LoadedFile) -> Mapping[bytes, tuple[LoadedPart, tuple[Document, ...]]]:
    """The documents of a file by the text they stand in."""
    if sum(part.documents for part in known.parts) != len(known.documents):
        return {}  # its source may not declare all of them
    found, at = {}, 0
    for part in known.parts:
        found[part.digest] = part, known.documents[at : at + part.documents]
        at += part.documents
    return found


def _load(text: _Text, reader: DocumentReader, raw: RawText, origin: str, default_namespace: str) -> LoadedFile | None:
    """The documents of one text; None when there is anything to be said of them."""
    try:
        parsed = tuple(read_documents(text.data, reader, text.line))
    except (yaml.YAMLError, RefusedError):
        return None
    if any(one.problems or is_sealed(one.body) for one in parsed):
        return None
    stream = ParsedStream(documents=parsed)
    loaded = load_documents(stream, reader.file, origin=origin, default_namespace=default_namespace, raw=raw)
    return None if loaded.problems else loaded
