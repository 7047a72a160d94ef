"""YAML that cannot be read, told to a person."""

from __future__ import annotations

import re

import yaml
from yaml.reader import ReaderError

from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import problem

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_RESERVED_STARTS = "@`%"


def encoding_problem(data: bytes, error: UnicodeDecodeError, file: str) -> Problem:
    """The file is not UTF-8."""
    before = data[: error.start]
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "")
    text = f"byte 0x{data[error.start]:02x} is not UTF-8"
    hint = f"the file looks like {encoding}; save it as UTF-8" if encoding else "save the file as UTF-8"
    return problem("yaml-encoding", Place(file, before.count(b"\n") + 1, column), text, hint=hint)


def syntax_problem(error: yaml.YAMLError, data: bytes, file: str, first_line: int) -> Problem:
    """What libyaml says about a part of a file that begins in ``first_line``."""
    if isinstance(error, ReaderError):
        return _control_character(data, file, first_line)
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = data.decode(errors="replace").split("\n")
    context = getattr(error, "context", None)
    since = getattr(error, "context_mark", None)
    began = (
        f", {context} that began in line {since.line + first_line}" if context and since and since.line != line else ""
    )
    what = getattr(error, "problem", None) or "the YAML cannot be read"
    if "nesting" in what:  # libyaml reads ahead, so its own bound (1000 levels, in newer ones) may come before ours
        place = Place(file, line + first_line, column + 1)
        return problem("yaml-too-large", place, "values are nested deeper than can be read")
    shown = lines[line] if line < len(lines) else ""
    hint = _hint(what, shown, column)
    return problem("yaml-syntax", Place(file, line + first_line, column + 1), f"{what}{began}", hint=hint)


def _hint(what: str, line: str, column: int) -> str:
    """Advice for the usual causes of a syntax error."""
    if "\t" in line[: column + 1]:
        return "there is a tab; YAML is indented with spaces"
    start = line[column : column + 1]
    if "cannot start any token" in what and start and start in _RESERVED_STARTS:
        return f"text that begins with {start} needs quotes"
    if "mapping values are not allowed" in what:
        return "text with a colon and a space needs quotes; or the line is indented too far"
    if "did not find expected key" in what or "did not find expected '-'" in what:
        return "this line or the one before is not indented like its neighbours"
    if "could not find expected ':'" in what:
        return "a key needs a colon and a space after it"
    return ""


def _control_character(data: bytes, file: str, first_line: int) -> Problem:
    text = data.decode(errors="replace")
    found = _CONTROL.search(text)
    before = text[: found.start()] if found else text
    line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    what = f"the control character U+{ord(found[0]):04X}" if found else "a character that YAML does not allow"
    hint = "remove it, or write it as an escape in double quotes"
    return problem("yaml-encoding", Place(file, line + first_line, column + 1), f"{what} is not allowed", hint=hint)
