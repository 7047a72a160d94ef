"""YAML → plain data with positions, read exactly as kubectl reads it, and strictly.

Beyond kubectl, which is lenient: a key given twice is a fault, and so is a tag outside YAML's core. A mapping entry whose
value is null is dropped, since kubectl sends it to a server that takes it as absent; its key is remembered in
``ParsedDocument.nulls``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml
from yaml._yaml import CParser
from yaml.events import DocumentStartEvent, StreamEndEvent

from reconciler.manifests.limits import DEFAULT_LIMITS, ParseLimits
from reconciler.manifests.yaml_faults import encoding_problem, syntax_problem
from reconciler.manifests.yaml_reader import DocumentReader, ParsedDocument, RefusedError
from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import problem

DOCUMENT_START = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_SURROGATE_PAIR = re.compile(rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedStream:
    """The documents of a file, and the problems of the parts of it that gave none; ``untold`` counts those beyond the limit."""

    documents: tuple[ParsedDocument, ...]
    problems: tuple[Problem, ...] = ()
    untold: int = 0


def parse_stream(data: bytes, file: str, *, limits: ParseLimits = DEFAULT_LIMITS) -> ParsedStream:
    """Read all documents of one file. ``file`` is only used to say where problems are.

    A syntax error spoils its own document: the others, told apart by their ``---`` lines, are still read.
    """
    if len(data) > limits.file_bytes:
        text = f"the file has {len(data)} bytes; at most {limits.file_bytes} are read"
        return ParsedStream(documents=(), problems=(problem("yaml-too-large", Place(file), text),))
    data = data.removeprefix(_BOM)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return ParsedStream(documents=(), problems=(encoding_problem(data, error, file),))
    try:
        return _parse(data, file, limits, 1)
    except RefusedError as refusal:
        if refusal.whole_file:
            return ParsedStream(documents=(), problems=(refusal.found,))
        fault = refusal.found
    except yaml.YAMLError as error:
        fault = syntax_problem(error, data, file, 1)
    return _parse_in_parts(data, file, limits, fault)


def _parse_in_parts(data: bytes, file: str, limits: ParseLimits, first: Problem) -> ParsedStream:
    """Read a file that has a fault somewhere, document by document; none is read beyond its fault."""
    starts = [0, *(match.start() for match in DOCUMENT_START.finditer(data) if match.start())]
    if len(starts) > limits.documents:
        return ParsedStream(documents=(), problems=(first,))
    documents: list[ParsedDocument] = []
    problems: list[Problem] = []
    untold = 0
    parsed: ParsedStream | None = None
    line = 1
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        part = data[start:end]
        used = sum(len(document.marks) // 2 for document in parsed.documents) if parsed else 0
        limits = replace(limits, nodes=limits.nodes - used)
        parsed = None
        try:
            parsed = _parse_part(part, file, limits, line)
        except (RefusedError, yaml.YAMLError) as error:
            if isinstance(error, RefusedError) and error.whole_file:
                return ParsedStream(documents=(), problems=(error.found,))
            if len(problems) < limits.problems:
                problems.append(_fault(error, part, file, line))
            else:
                untold += 1
        else:
            documents += parsed.documents
        line += part.count(b"\n")
    return ParsedStream(documents=tuple(documents), problems=tuple(problems), untold=untold)


def _fault(error: RefusedError | yaml.YAMLError, part: bytes, file: str, line: int) -> Problem:
    return error.found if isinstance(error, RefusedError) else syntax_problem(error, part, file, line)


def _parse_part(part: bytes, file: str, limits: ParseLimits, first_line: int) -> ParsedStream:
    """One document's text. JSON may write a character as two ``\\u`` escapes, which YAML does not know."""
    try:
        return _parse(part, file, limits, first_line)
    except yaml.YAMLError:
        if not part.lstrip().startswith(b"{") or not _SURROGATE_PAIR.search(part):
            raise
    return _parse(_SURROGATE_PAIR.sub(_joined_surrogates, part), file, limits, first_line)


def _joined_surrogates(match: re.Match[bytes]) -> bytes:
    high, low = int(match[1], 16), int(match[2], 16)
    return b"\\U%08X" % (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _parse(data: bytes, file: str, limits: ParseLimits, first_line: int) -> ParsedStream:
    return ParsedStream(documents=tuple(read_documents(data, DocumentReader(file, limits), first_line)))


def read_documents(data: bytes, reader: DocumentReader, first_line: int) -> Iterator[ParsedDocument]:
    """The documents of a text that begins in that line of the reader's file, empty ones left out.

    Raises:
        RefusedError: a bound is reached, or a document has no meaning as JSON.
        yaml.YAMLError: a syntax error.
    """
    next_event = CParser(data).get_event
    reader.begin(next_event, first_line)
    most, count = reader.limits.documents, 0
    while type(event := next_event()) is not StreamEndEvent:
        if type(event) is not DocumentStartEvent:
            continue
        if count >= most:
            text = f"the file has more than {most} documents"
            raise RefusedError(
                problem("yaml-too-large", Place(reader.file), text, hint="split the file"), whole_file=True
            )
        parsed = reader.document()
        if parsed.body is not None or parsed.problems:
            count += 1
            yield parsed
