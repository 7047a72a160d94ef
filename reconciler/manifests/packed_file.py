"""A loaded file as bytes and back, for a cache on disk.

What is packed says nothing about where the file lies: a blob's bytes mean the same under every path, so the path comes in
again when it is unpacked. Nothing in the bytes is ever executed, and a bit that flipped is noticed.

Shape: the header's length and the CRC-32 of all that follows (big-endian, 4 bytes each), the header (JSON), then for each
document its body (JSON) and its positions (as `PackedPositions` has them), whose lengths the header tells.
"""

from __future__ import annotations

import struct
from sys import intern
from typing import Any

import orjson

from reconciler.manifests.load import InvalidDocument, LoadedFile, LoadedPart
from reconciler.model.document import Document, PackedPositions
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity

_PREFIX = struct.Struct(">I")


def pack(loaded: LoadedFile) -> bytes:
    """A file without SOPS documents, without its path and its source."""
    parts: list[bytes] = []
    documents = []
    for one in loaded.documents:
        text, positions = one.text, one.packed_positions
        parts += (text, positions.data)
        lengths = (len(text), len(positions.data), positions.below)
        documents.append([*_key_fields(one.key), one.api_version, one.digest, *lengths])
    header = {
        "documents": documents,
        "invalid": [
            [
                *_key_fields(one.key),
                one.place.line,
                one.place.column,
                [_problem_fields(p) for p in one.problems],
                one.wave,
            ]
            for one in loaded.invalid
        ],
        "unidentified": [_problem_fields(one) for one in loaded.unidentified],
        "warnings": [_problem_fields(one) for one in loaded.warnings],
        "parts": [[part.digest.hex(), part.line, part.documents, part.nodes] for part in loaded.parts],
    }
    head = orjson.dumps(header)
    return b"".join((_PREFIX.pack(len(head)), head, *parts))


def unpack(data: bytes, file: str, origin: str) -> LoadedFile:
    """What `pack` was given, as the file of that path and source.

    Raises:
        ValueError: the bytes are not from `pack`.
    """
    try:
        (length,) = _PREFIX.unpack_from(data)
        at = _PREFIX.size + length
        header = orjson.loads(memoryview(data)[_PREFIX.size : at])
        documents = []
        for kind, namespace, name, api_version, digest, text_length, marks_length, below in header["documents"]:
            middle, end = at + text_length, at + text_length + marks_length
            document = Document(
                key=ObjectKey(intern(kind), intern(namespace), name),
                api_version=intern(api_version),
                body=data[at:middle],
                digest=digest,
                file=file,
                origin=origin,
                positions=PackedPositions(data[middle:end], below),
            )
            documents.append(document)
            at = end
        return LoadedFile(
            file=file,
            origin=origin,
            documents=tuple(documents),
            invalid=tuple(_invalid(fields, file) for fields in header["invalid"]),
            unidentified=tuple(_problem(fields, file) for fields in header["unidentified"]),
            warnings=tuple(_problem(fields, file) for fields in header["warnings"]),
            parts=tuple(LoadedPart(bytes.fromhex(digest), *rest) for digest, *rest in header["parts"]),
        )
    except (struct.error, KeyError, TypeError) as fault:
        raise ValueError(f"not a packed file: {fault}") from fault


def _key_fields(key: ObjectKey) -> list[str]:
    return [key.kind, key.namespace, key.name]


def _problem_fields(one: Problem) -> list[Any]:
    key = _key_fields(one.object) if one.object else None
    place = one.place
    return [one.code, one.severity.value, place.line, place.column, one.message, key, one.path, one.hint]


def _problem(fields: list[Any], file: str) -> Problem:
    code, severity, line, column, message, key, path, hint = fields
    return Problem(
        code=code,
        severity=Severity(severity),
        place=Place(file, line, column),
        message=message,
        object=ObjectKey(*key) if key else None,
        path=path,
        hint=hint,
    )


def _invalid(fields: list[Any], file: str) -> InvalidDocument:
    kind, namespace, name, line, column, problems, wave = fields
    return InvalidDocument(
        key=ObjectKey(kind, namespace, name),
        place=Place(file, line, column),
        problems=tuple(_problem(one, file) for one in problems),
        wave=wave,
    )
