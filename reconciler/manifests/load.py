"""The way in: one file's bytes → checked documents. What a file gives depends on nothing but its bytes, its path and the
default namespace, so callers cache it by blob id.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import orjson

from reconciler.manifests.foreign_kinds import is_foreign, kind_problem
from reconciler.manifests.kinds import check_document
from reconciler.manifests.kinds.names import fault_of_dns_label, fault_of_dns_subdomain
from reconciler.manifests.known_kinds import KNOWN_KINDS, Identity, identity_of, items_of_list, kind_meant
from reconciler.manifests.limits import DEFAULT_LIMITS, ParseLimits
from reconciler.manifests.null_entries import explain_nulls, null_entries
from reconciler.manifests.plain_secrets import plain_text_warnings
from reconciler.manifests.raw_text import RawText
from reconciler.manifests.schema_check import fits_schema, schema_problems
from reconciler.manifests.sealed import is_sealed
from reconciler.manifests.strict_yaml import ParsedStream, parse_stream
from reconciler.manifests.sync_waves import sync_wave_problems
from reconciler.manifests.walk import children, pairs
from reconciler.manifests.yaml_reader import ParsedDocument
from reconciler.model.document import Document, Positions
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem, Severity, in_order
from reconciler.model.problem_codes import problem
from reconciler.model.sync_wave import wave_number

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATION_FILES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidDocument:
    """A document with errors whose object is known: it counts as present and is held at what was last applied.
    ``wave`` is its sync wave, as far as it can be read.
    """

    key: ObjectKey
    place: Place
    problems: tuple[Problem, ...]
    wave: int = 0


@dataclass(frozen=True, slots=True)
class LoadedPart:
    """A text between two ``---`` in a file without faults: its digest, its first line, how many documents it gave, and how
    many of `ParseLimits.nodes` it took.
    """

    digest: bytes
    line: int
    documents: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """What one file holds. ``unidentified`` are the faults of parts of which nobody knows which object they are: while there
    are any, absence from the repository proves nothing and nothing may be deleted. ``warnings`` are of valid documents, or of the file
    as a whole.
    ``sealed`` are the bytes of a file with SOPS documents: nothing else is said of it until `unseal.open_file` has the
    keys, so that whatever is kept of a loaded file holds cipher text only. ``outside`` are the faults of documents that their
    source may not declare: those count for nothing. ``origin`` is the identity of the source. ``parts`` are what
    `load_parts` knows the documents by, if it was the one that read them.
    """

    file: str
    origin: str = ""
    sealed: bytes = field(default=b"", repr=False)
    documents: tuple[Document, ...] = ()
    invalid: tuple[InvalidDocument, ...] = ()
    unidentified: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    outside: tuple[Problem, ...] = ()
    parts: tuple[LoadedPart, ...] = ()

    @property
    def entries(self) -> tuple[Document | InvalidDocument, ...]:
        """All objects of the file, valid or not."""
        return (*self.documents, *self.invalid)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems of the file, in its order."""
        of_invalid = (one for entry in self.invalid for one in entry.problems)
        return in_order((*self.unidentified, *self.warnings, *self.outside, *of_invalid))


def is_manifest(path: str) -> bool:
    """Whether a file of the repository is read: YAML and JSON, but nothing hidden and no kustomization."""
    parts = PurePosixPath(path)
    hidden = any(part.startswith(".") for part in parts.parts)
    return not hidden and parts.suffix in MANIFEST_SUFFIXES and parts.name not in KUSTOMIZATION_FILES


def is_kustomization(path: str) -> bool:
    """Whether a file says how kustomize would build others."""
    return PurePosixPath(path).name in KUSTOMIZATION_FILES


def kustomization_problem(path: str) -> Problem:
    """The warning that a kustomization is not built."""
    text = "a kustomization is not a manifest; it is not built and not read"
    return problem("kustomization-ignored", Place(path), text, hint="the manifests beside it are read as they are")


def load_blob(
    data: bytes,
    file: str,
    *,
    origin: str = "",
    default_namespace: str = "default",
    limits: ParseLimits = DEFAULT_LIMITS,
) -> LoadedFile:
    """Read and check one manifest file of the source with the identity ``origin``. Users' mistakes come back as problems;
    nothing is raised for them.
    """
    stream = parse_stream(data, file, limits=limits)
    if any(is_sealed(parsed.body) for parsed in stream.documents):
        return LoadedFile(file=file, origin=origin, sealed=data)
    return load_documents(
        stream, file, origin=origin, default_namespace=default_namespace, raw=RawText(data), limits=limits
    )


def load_documents(
    stream: ParsedStream,
    file: str,
    *,
    origin: str = "",
    default_namespace: str,
    raw: RawText,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> LoadedFile:
    """What documents in plain text declare; ``raw`` is the text they stand in, for hints."""
    gathered = _Gathered(most=limits.problems, unidentified=list(stream.problems), untold=stream.untold)
    for parsed in (part for whole in stream.documents for part in _objects(whole)):
        identity = identity_of(parsed.body, default_namespace)
        if identity.key is None or parsed.identity_doubtful:
            gathered.stray(_unidentified(parsed, identity, file))
            continue
        document = _document(parsed, identity.key, identity.api_version, file, origin)
        unknown = kind_problem(document)
        if unknown is not None and identity.key.kind not in KNOWN_KINDS and kind_meant(str(parsed.body["kind"])):
            gathered.stray((unknown,))
            continue
        explained_nodes = limits.explained_nodes if gathered.has_room else -1
        found = (unknown,) if unknown else _check(parsed, document, raw, explained_nodes)
        if _is_misnamed(document):
            gathered.stray(found)
        else:
            gathered.take(document, found)
    return gathered.loaded(file, origin)


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What a file came to so far. Beyond ``most`` problems the rest are counted: explaining each of a hundred thousand takes minutes
    and helps nobody.
    """

    most: int
    unidentified: list[Problem]
    untold: int
    documents: list[Document] = field(default_factory=list)
    invalid: list[InvalidDocument] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    told: int = 0

    @property
    def has_room(self) -> bool:
        """Whether more problems are told."""
        return self.told < self.most

    def stray(self, problems: tuple[Problem, ...]) -> None:
        """A part of which nobody knows which object it is. One of them is always told, for it stops deletions."""
        if self.has_room or not self.unidentified:
            self.unidentified += problems
            self.told += len(problems)
        else:
            self.untold += 1

    def take(self, document: Document, problems: tuple[Problem, ...]) -> None:
        """A document and what was found wrong with it."""
        spoilt = any(one.severity is Severity.ERROR for one in problems)
        told = (problems if spoilt else (*problems, *plain_text_warnings(document))) if self.has_room else ()
        self.told += len(told)
        if spoilt:
            self.untold += not told
            place, wave = document.place(), wave_number(document.body)
            self.invalid.append(InvalidDocument(key=document.key, place=place, problems=told, wave=wave))
        else:
            self.documents.append(document.packed())
            self.warnings += told

    def loaded(self, file: str, origin: str) -> LoadedFile:
        """The whole file."""
        if self.untold:
            text = f"and {self.untold} more documents of this file have errors"
            self.warnings.append(
                problem("problems-untold", Place(file), text, hint="correct those that are told first")
            )
        return LoadedFile(
            file=file,
            origin=origin,
            documents=tuple(self.documents),
            invalid=tuple(self.invalid),
            unidentified=tuple(self.unidentified),
            warnings=tuple(self.warnings),
        )


def digest_of(body: Any) -> str:
    """SHA-256 of a document's canonical JSON, in hexadecimal."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _document(parsed: ParsedDocument, key: ObjectKey, api_version: str, file: str, origin: str) -> Document:
    return Document(
        key=key,
        api_version=api_version,
        body=parsed.body,
        digest=digest_of(parsed.body),
        file=file,
        origin=origin,
        positions=Positions(parsed.marks),
    )


def _objects(parsed: ParsedDocument) -> Iterator[ParsedDocument]:
    """The document itself, or the items of a ``List``, each with its part of the positions."""
    items = items_of_list(parsed.body)
    # A fault somewhere in a list is not told apart by item: it spoils the list.
    if items is None or parsed.problems:
        yield parsed
        return
    at = next(at for name, _, at in children(parsed.body, 0) if name == "items") + 1
    for item in items:
        end = at + pairs(item)
        yield replace(parsed, body=item, marks=array("I", parsed.marks[2 * at : 2 * end]))
        at = end


def _unidentified(parsed: ParsedDocument, identity: Identity, file: str) -> tuple[Problem, ...]:
    """Why nobody knows which object this is."""
    if parsed.problems:
        return parsed.problems
    place = Place(file, parsed.marks[0], parsed.marks[1])
    if not isinstance(parsed.body, dict):
        text = "the document is not an object with apiVersion, kind and metadata"
        return (problem("document-unidentified", place, text),)
    missing = " and ".join(identity.missing)
    metadata = parsed.body.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name") is not None
    hint = f"add {missing}"
    if "metadata.name" in identity.missing and isinstance(metadata, dict) and "generateName" in metadata:
        hint = "generateName makes a new object each time; write name"
    elif "metadata.name" in identity.missing and named:
        hint = "the name must be text; put it in quotes"
    text = f"the document has no usable {missing}, so it cannot be told which object it is"
    return (problem("document-unidentified", place, text, hint=hint),)


def _is_misnamed(document: Document) -> bool:
    """Whether no object can have the name: it is a slip of the pen for another one, which must not be taken for deleted."""
    key = document.key
    return not is_foreign(document) and bool(
        fault_of_dns_subdomain(key.name) or (key.namespace and fault_of_dns_label(key.namespace))
    )


def _check(parsed: ParsedDocument, document: Document, raw: RawText, explained_nodes: int) -> tuple[Problem, ...]:
    """Reading, shape, then rules: each only when the one before found nothing."""
    if parsed.problems:
        return tuple(replace(one, object=document.key) for one in parsed.problems)
    waves = tuple(sync_wave_problems(document))
    if is_foreign(document):
        return waves
    found: tuple[Problem, ...] = ()
    if not fits_schema(document):
        found = schema_problems(document, raw, explained_nodes=explained_nodes)
    if parsed.nulls:
        found += null_entries(parsed, document, raw)
    if found:
        return found
    return (*waves, *(explain_nulls(one, raw) for one in check_document(document)))
