"""Files with SOPS documents: the step between loading and assembling, where the keys are.

A document that cannot be opened counts as present and invalid where its kind and name can be read, so that nothing is
pruned for want of a key; where they are encrypted too, nobody knows which object it is, which stops all deletions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.manifests.known_kinds import items_of_list
from reconciler.manifests.limits import DEFAULT_LIMITS, ParseLimits
from reconciler.manifests.load import InvalidDocument, LoadedFile, load_documents
from reconciler.manifests.plain_secrets import PLAIN_TEXT
from reconciler.manifests.raw_text import RawText
from reconciler.manifests.sealed import SOPS, is_sealed
from reconciler.manifests.sops import (
    Opened,
    grouped,
    open_documents,
    placeholder_documents,
    without_metadata,
)
from reconciler.manifests.sops_metadata import SopsFaultError, data_key_of, read_metadata
from reconciler.manifests.strict_yaml import ParsedStream, parse_stream
from reconciler.manifests.yaml_reader import ParsedDocument
from reconciler.model.document import FieldPath, Positions, dotted
from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import meaning_of, problem
from reconciler.model.secret import SECRET_FIELDS, Secret
from reconciler.model.sync_wave import wave_number

_IDENTITY = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One document of a file on its way. ``encrypted`` are the places of its encrypted values, ``faults`` why it stays shut."""

    parsed: ParsedDocument
    encrypted: tuple[FieldPath, ...] = ()
    faults: tuple[Problem, ...] = ()
    opened: bool = True


def open_file(
    loaded: LoadedFile,
    identities: Sequence[Secret] | None,
    *,
    default_namespace: str = "default",
    limits: ParseLimits = DEFAULT_LIMITS,
) -> LoadedFile:
    """The file as `load.load_blob` would give it were it in plain text; a file without SOPS documents as it is.

    ``identities`` are age identities; None says that there is no host whose keys could be asked for (a pull request):
    then cipher text stands for the values, and a warning says so.
    """
    if not loaded.sealed:
        return loaded
    file = loaded.file
    stream = parse_stream(loaded.sealed, file, limits=limits)
    plain = tuple(parsed for parsed in stream.documents if not is_sealed(parsed.body))
    whole = load_documents(
        replace(stream, documents=plain),
        file,
        origin=loaded.origin,
        default_namespace=default_namespace,
        raw=RawText(loaded.sealed),
    )
    sealed = [parsed for parsed in stream.documents if is_sealed(parsed.body)]
    for metadata, numbers in grouped(parsed.body[SOPS] for parsed in sealed):
        for part in _opened_group(metadata, [sealed[number] for number in numbers], identities, file):
            whole = _joined(whole, _loaded(part, loaded, default_namespace))
    return whole


def _opened_group(
    metadata: Mapping[str, Any], group: Sequence[ParsedDocument], identities: Sequence[Secret] | None, file: str
) -> Iterator[_Part]:
    """The documents that were encrypted together."""
    bare = []
    for parsed in group:
        body, marks = without_metadata(parsed.body, parsed.marks)
        nulls = tuple(key for key in parsed.nulls if key not in metadata)
        bare.append(replace(parsed, body=body, marks=marks, nulls=nulls))
    shut = tuple(entry.encrypted for entry in placeholder_documents(parsed.body for parsed in bare))
    broken = [one for parsed in group for one in parsed.problems]
    try:
        stated = read_metadata(metadata)
        if identities is None or broken:
            found = placeholder_documents(parsed.body for parsed in bare)
        else:
            found = open_documents([parsed.body for parsed in bare], stated, data_key_of(stated, identities))
    except SopsFaultError as fault:
        for parsed, encrypted in zip(bare, shut, strict=True):
            yield _shut(parsed, encrypted, _fault(fault, parsed, group, file))
        return
    for parsed, entry in zip(bare, found, strict=True):
        if identities is None or broken:
            yield _placeholder(parsed, entry, file)
        else:
            yield _Part(parsed=replace(parsed, body=entry.body), encrypted=entry.encrypted)


def _fault(fault: SopsFaultError, parsed: ParsedDocument, group: Sequence[ParsedDocument], file: str) -> Problem:
    """The fault as a problem of this document: at the value where it is one value's, else at the document."""
    text = fault.message if len(group) == 1 or not fault.path else f"{fault.message} (in a document of the same file)"
    line, column = Positions(parsed.marks).of(parsed.body, fault.path)
    return problem(fault.code, Place(file, line, column), text, path=dotted(fault.path), hint=fault.hint)


def _shut(parsed: ParsedDocument, encrypted: tuple[FieldPath, ...], fault: Problem) -> _Part:
    doubtful = parsed.identity_doubtful or _hides_identity(parsed.body, encrypted)
    unread = replace(parsed, problems=(*parsed.problems, fault), identity_doubtful=doubtful)
    return _Part(parsed=unread, opened=False)


def _placeholder(parsed: ParsedDocument, entry: Opened, file: str) -> _Part:
    """Without any key: its shape, and a word about that."""
    place = Place(file, parsed.marks[0], parsed.marks[1])
    text = "it is encrypted with SOPS and no age key was given: its values were not read"
    if _hides_identity(parsed.body, entry.encrypted):
        hint = "leave kind and name readable: encrypted_regex: '^(data|stringData)$' in .sops.yaml"
        return _shut(parsed, entry.encrypted, problem("sops-no-key", place, text, hint=hint))
    told = problem("sops-not-decrypted", place, text)
    return _Part(parsed=replace(parsed, body=entry.body), encrypted=entry.encrypted, faults=(told,))


def _hides_identity(body: Any, encrypted: Sequence[FieldPath]) -> bool:
    """Whether one cannot tell which object it is. The kind of a list's items is told by the items."""
    items = items_of_list(body)
    own = [path[2:] if items is not None and path[:1] == ("items",) else path for path in encrypted]
    return any(path in own for path in _IDENTITY)


def _loaded(part: _Part, whole: LoadedFile, default_namespace: str) -> LoadedFile:
    """One document, checked, with nothing of its encrypted values in what is said of it."""
    stream = ParsedStream(documents=(part.parsed,))
    file = whole.file
    loaded = load_documents(stream, file, origin=whole.origin, default_namespace=default_namespace, raw=RawText(b""))
    secret = {dotted(path) for _, path in _by_object(part)}
    refused = _shown_values(part, file)
    invalid = [replace(one, problems=tuple(_hushed(found, secret) for found in one.problems)) for one in loaded.invalid]
    documents = loaded.documents
    for document in loaded.documents:
        if document.key.kind in refused:
            documents = tuple(one for one in documents if one is not document)
            found = replace(refused[document.key.kind], object=document.key)
            place, wave = document.place(), wave_number(document.body)
            invalid.append(InvalidDocument(key=document.key, place=place, problems=(found,), wave=wave))
    warnings = [_hushed(one, secret) for one in loaded.warnings if one.code != PLAIN_TEXT]
    first = next((document.key for document in documents), None)
    return replace(
        loaded,
        documents=documents,
        invalid=tuple(invalid),
        warnings=(*warnings, *(replace(one, object=first) for one in part.faults)),
    )


def _by_object(part: _Part) -> Iterator[tuple[str, FieldPath]]:
    """(kind, path within the object) of every encrypted value."""
    body: Any = part.parsed.body
    items = items_of_list(body)
    for path in part.encrypted:
        if items is not None and path[:1] == ("items",):
            item = items[int(path[1])]
            yield str(item.get("kind", "")) if isinstance(item, Mapping) else "", path[2:]
        else:
            yield str(body.get("kind", "")), path


def _shown_values(part: _Part, file: str) -> dict[str, Problem]:
    """By kind, the problem of values that were encrypted where gitvirt keeps no secrets."""
    found: dict[str, Problem] = {}
    for kind, path in _by_object(part):
        if kind in found or _is_kept_secret(kind, path):
            continue
        line, column = Positions(part.parsed.marks).of(part.parsed.body, path)
        text = f"{dotted(path)} is encrypted, and a {kind} keeps it no secret: it would show in plans and on the host"
        hint = "encrypt only userData and networkData here: set encrypted_regex in .sops.yaml"
        found[kind] = problem("sops-value-shown", Place(file, line, column), text, path=dotted(path), hint=hint)
    return found


def _is_kept_secret(kind: str, path: FieldPath) -> bool:
    if kind == "Secret":
        return True
    if kind == "ConfigMap" and path[0] in ("data", "binaryData"):
        return True
    return any(part in SECRET_FIELDS for part in path)


def _hushed(found: Problem, secret: set[str]) -> Problem:
    """A problem that may quote the value it is about, without that value."""
    if found.path not in secret:
        return found
    return replace(found, message=f"the decrypted value is not as it must be: {meaning_of(found.code)}", hint="")


def _joined(one: LoadedFile, other: LoadedFile) -> LoadedFile:
    return replace(
        one,
        documents=one.documents + other.documents,
        invalid=one.invalid + other.invalid,
        unidentified=one.unidentified + other.unidentified,
        warnings=one.warnings + other.warnings,
    )
