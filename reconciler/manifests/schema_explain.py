"""Turns a schema's verdict into problems that say what to change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from reconciler.manifests.raw_text import RawText
from reconciler.manifests.scalars import read_plain
from reconciler.manifests.schema_fields import belongs_at, similar
from reconciler.model.document import Document, FieldPath, dotted
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.quantity import parse_quantity

MAX_PROBLEMS = 100
QUANTITY_TYPE = ["string", "number"]
_LONGEST_SHOWN = 40
_SECRET_FIELDS = frozenset(
    {
        "data",
        "stringData",
        "binaryData",
        "userData",
        "userDataBase64",
        "networkData",
        "networkDataBase64",
        "url",
        "extraHeaders",
    }
)
_TYPE_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a schema's ``keyword`` wanted, and the value it got at ``path``."""

    keyword: str
    wanted: Any
    value: Any
    schema: Mapping[str, Any]
    path: FieldPath


def _verdict(error: ValidationError) -> _Verdict:
    """The part of jsonschema's error that matters; of alternatives, what is wrong with the most relevant one."""
    if error.validator in ("anyOf", "oneOf") and error.context:
        error = best_match([error]) or error
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    return _Verdict(str(error.validator), error.validator_value, error.instance, schema, tuple(error.absolute_path))


def explain(document: Document, schema: Mapping[str, Any], raw: RawText) -> tuple[Problem, ...]:
    """The problems of a document that its schema refuses, at most `MAX_PROBLEMS`, in the order of the file."""
    errors = Draft202012Validator(schema).iter_errors(document.body)
    every = (one for error in errors for one in _explain(_verdict(error), document, schema, raw))
    found = list(islice(every, MAX_PROBLEMS))
    mistyped = {one.path for one in found if one.code == "schema-type"}
    found = [one for one in found if one.code == "schema-type" or one.path not in mistyped]
    unique = {(one.code, one.path): one for one in found}
    return tuple(sorted(unique.values(), key=lambda one: (one.place, one.path)))


def _explain(verdict: _Verdict, document: Document, schema: Mapping[str, Any], raw: RawText) -> Iterator[Problem]:
    """One verdict may name several fields."""
    match verdict.keyword:
        case "additionalProperties":
            allowed = verdict.schema.get("properties", {})
            for name in verdict.value:
                if name not in allowed:
                    yield _unknown_field(document, schema, (*verdict.path, name), tuple(allowed))
        case "required":
            yield from _missing(document, verdict, raw)
        case "type":
            yield _wrong_type(document, verdict, raw)
        case "enum" | "const":
            yield _wrong_value(document, verdict)
        case "pattern":
            yield _wrong_form(document, verdict)
        case _:
            yield _problem("schema-value", document, verdict.path, _out_of_range(verdict))


def _problem(
    code: str, document: Document, path: FieldPath, message: str, hint: str = "", *, at_key: bool = False
) -> Problem:
    place = document.place(path, key=at_key)
    return problem(code, place, message, object=document.key, path=dotted(path), hint=hint)


def _unknown_field(document: Document, schema: Mapping[str, Any], path: FieldPath, allowed: tuple[str, ...]) -> Problem:
    name = str(path[-1])
    parent = dotted(path[:-1]) or document.key.kind
    near = similar(name, allowed)
    elsewhere = "" if near else belongs_at(schema, name, path[:-1])
    if near:
        hint = f"did you mean {near}?"
    elif elsewhere:
        hint = f"{name} belongs at {elsewhere}"
    elif allowed and len(allowed) <= 12:
        hint = f"fields here: {', '.join(sorted(allowed))}"
    else:
        hint = "" if allowed else "no fields are allowed here"
    return _problem("schema-unknown-field", document, path, f"{parent} has no field {name}", hint, at_key=True)


def _missing(document: Document, verdict: _Verdict, raw: RawText) -> Iterator[Problem]:
    path = verdict.path
    place = document.place(path)
    nulls = raw.null_keys(place.line, place.column)
    for name in verdict.wanted:
        if name in verdict.value:
            continue
        if name in nulls:
            yield _problem("schema-required", document, (*path, name), f"{name} has no value", "null counts as absent")
        else:
            parent = dotted(path) or document.key.kind
            near = similar(name, tuple(key for key in verdict.value if key not in verdict.schema.get("properties", {})))
            hint = f"is {near} meant to be {name}?" if near else ""
            yield _problem("schema-required", document, (*path, name), f"{parent} needs the field {name}", hint)


def _wrong_type(document: Document, verdict: _Verdict, raw: RawText) -> Problem:
    path = verdict.path
    wanted = verdict.wanted if isinstance(verdict.wanted, list) else [verdict.wanted]
    words = " or ".join(_TYPE_WORDS[one] for one in wanted if one != "null")
    # Text where a mapping belongs may be a whole document that went astray, secrets and all.
    shown = _kind_of(verdict.value) if wanted in (["object"], ["array"]) else _what(verdict.value, path)
    message = f"needs {words}, not {shown}"
    return _problem("schema-type", document, path, message, _type_hint(document, path, verdict.value, wanted, raw))


def _type_hint(document: Document, path: FieldPath, value: Any, wanted: Sequence[str], raw: RawText) -> str:
    """Most type errors come from quotes, or from how YAML reads a word without them."""
    place = document.place(path)
    written = raw.plain_scalar(place.line, place.column)
    if "string" in wanted and isinstance(value, bool | int | float) and written is not None:
        if _is_secret(path):
            return "put the value in quotes"
        as_read = json.dumps(value)
        if written == as_read:
            return f'put it in quotes: "{written}"'
        return f'without quotes, {written} is read as {as_read}, as kubectl does; write "{written}"'
    if isinstance(value, str) and written is None and _is_of(_read_or_text(value), wanted):
        return f"remove the quotes: {value}"
    if value is None:
        return "the item has no value"
    if wanted == ["array"]:
        return "each item of a list begins with `- `"
    if wanted == ["object"] and isinstance(value, list):
        return "remove the `- ` before the field"
    if wanted == ["object"] and value in ("", True):
        return "an empty mapping is written {}"
    return ""


def _is_of(value: Any, wanted: Sequence[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in wanted
    return isinstance(value, int | float) and ("number" in wanted or ("integer" in wanted and isinstance(value, int)))


def _read_or_text(text: str) -> Any:
    try:
        return read_plain(text)
    except ValueError:
        return text


def _wrong_value(document: Document, verdict: _Verdict) -> Problem:
    path = verdict.path
    allowed = verdict.wanted if verdict.keyword == "enum" else [verdict.wanted]
    shown = ", ".join(str(one) for one in allowed if one != "")
    near = similar(str(verdict.value), tuple(str(one) for one in allowed))
    hint = f"did you mean {near}?" if near else ""
    return _problem("schema-enum", document, path, f"{_what(verdict.value, path)} is not one of {shown}", hint)


def _wrong_form(document: Document, verdict: _Verdict) -> Problem:
    path = verdict.path
    if verdict.schema.get("type") == QUANTITY_TYPE:
        try:
            parse_quantity(verdict.value)
        except ValueError as fault:
            message, _, hint = str(fault).partition("; ")
            return _problem("schema-pattern", document, path, message, hint)
    message = f"{_what(verdict.value, path)} has not the form {verdict.wanted}"
    return _problem("schema-pattern", document, path, message)


def _out_of_range(verdict: _Verdict) -> str:
    limit = verdict.wanted
    words = {
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
        "minItems": f"needs at least {limit} items",
        "maxItems": f"may have at most {limit} items",
        "minLength": f"needs at least {limit} characters",
        "maxLength": f"may have at most {limit} characters",
    }
    return words.get(verdict.keyword, f"does not satisfy {verdict.keyword}")


def _what(value: Any, path: FieldPath) -> str:
    """A value for a message: short scalars as they are, never what may be secret."""
    if isinstance(value, Mapping | list) or value is None or _is_secret(path):
        return _kind_of(value)
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[: _LONGEST_SHOWN - 3]}..."
    return f"the text {shown}" if isinstance(value, str) else shown


def _is_secret(path: FieldPath) -> bool:
    return any(part in _SECRET_FIELDS for part in path)


def _kind_of(value: Any) -> str:
    """A value's type in words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else "nothing" if value is None else "text"
