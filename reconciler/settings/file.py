"""Reads the settings file: YAML to plain data, ``--set`` overrides on top, all of it checked against the schema.

YAML is read by the core rules of YAML 1.2: only ``true`` and ``false`` are booleans (``off`` is a word), there are no
dates and no base-60 numbers, and a key stands once. Every fault says ``file:line`` and, where one is near, the name
that was probably meant.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import ComposerError

from reconciler.model.document import dotted
from reconciler.model.errors import SettingsError

if TYPE_CHECKING:
    import jsonschema

MAX_BYTES = 1 << 20
"""A settings file larger than this is not one."""

_MAX_DEPTH = 16
_MAX_VALUES = 10_000
_SHOWN_FAULTS = 10
_OVERRIDE = re.compile(r"(?P<path>[A-Za-z0-9_][^=]*)=(?P<value>.*)", re.DOTALL)


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the scalar rules of YAML 1.2's core schema and without merge keys."""


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)
_CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSettings:
    """Plain data as the file and the overrides say it, and where each value stands. ``lines`` maps a path to its line."""

    body: Mapping[str, Any]
    origin: str
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, repr=False)
    overridden: frozenset[tuple[str | int, ...]] = frozenset()

    def place(self, path: Sequence[str | int]) -> str:
        """``file:line`` of a value, of its nearest parent when it has none, or ``--set`` for an override."""
        for length in range(len(path), -1, -1):
            prefix = tuple(path[:length])
            if prefix in self.overridden:
                return f"--set {dotted(prefix)}"
            if prefix in self.lines:
                return f"{self.origin}:{self.lines[prefix]}"
        return self.origin


def read_settings(path: Path | None, overrides: Sequence[str] = ()) -> RawSettings:
    """The file's content (nothing for None) with the overrides, valid by the schema.

    Raises:
        SettingsError: unreadable, not YAML, or not valid; the message lists what, where and what to do.
    """
    raw = RawSettings(body={}, origin="the built-in defaults")
    if path is not None:
        raw = parse_settings(_bytes_of(path), str(path))
    raw = _overridden(raw, overrides)
    _refuse_faults(raw)
    return raw


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"settings file {path} cannot be read: {error.strerror}. Name another with --settings PATH or GITVIRT_SETTINGS."
        ) from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"settings file {path} is larger than {MAX_BYTES >> 20} MiB; this is not a settings file.")
    return data


def parse_settings(data: bytes, origin: str) -> RawSettings:
    """YAML bytes to plain data; not yet checked against the schema.

    Raises:
        SettingsError: not YAML, not a mapping, a key that stands twice, an alias.
    """
    try:
        node = _composed(data.decode("utf-8"), origin)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{origin}: not UTF-8 text at byte {error.start}. Save the file as UTF-8.") from error
    if node is None:
        return RawSettings(body={}, origin=origin)
    if not isinstance(node, yaml.MappingNode):
        raise SettingsError(f"{origin}:{node.start_mark.line + 1}: settings are a mapping of names to values.")
    lines: dict[tuple[str | int, ...], int] = {}
    body = _plain(node, (), lines, origin)
    return RawSettings(body=body, origin=origin, lines=lines)


def _composed(text: str, origin: str) -> yaml.Node | None:
    loader = _CoreLoader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        # A composer's fault names what it found, and a marked error shows the line: that may be a secret.
        said = "an alias or an anchor that is none" if isinstance(error, ComposerError) else error.problem
        raise SettingsError(f"{where}: not YAML: {said or error.context}.") from None
    except yaml.YAMLError:
        raise SettingsError(f"{origin}: not YAML: it holds a character that YAML does not allow.") from None
    except RecursionError as error:
        raise SettingsError(f"{origin}: nested too deeply.") from error
    finally:
        loader.dispose()
    return node


def _plain(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], origin: str) -> Any:
    """The node's plain value; notes the line of everything below it. The bounds also end a value that holds itself."""
    where = f"{origin}:{node.start_mark.line + 1}"
    if len(path) > _MAX_DEPTH or len(lines) > _MAX_VALUES:
        raise SettingsError(
            f"{where}: more than {_MAX_DEPTH} levels or {_MAX_VALUES} values; this is not a settings file."
        )
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        body: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if not key or key in body:
                fault = f"the key {key!r} stands twice; keep one of them" if key else "a key must be a plain word"
                raise SettingsError(f"{origin}:{key_node.start_mark.line + 1}: {fault}.")
            lines[(*path, key)] = key_node.start_mark.line + 1
            body[key] = _plain(value_node, (*path, key), lines, origin)
        return body
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines, origin) for index, item in enumerate(node.value)]
    return _scalar(node, where)


def _scalar(node: yaml.Node, where: str) -> Any:
    try:
        return _CoreLoader("").construct_object(node)
    except yaml.constructor.ConstructorError:
        raise SettingsError(f"{where}: a value with a tag; settings hold plain values only.") from None


def _overridden(raw: RawSettings, overrides: Sequence[str]) -> RawSettings:
    """``raw`` with each ``key.path=value`` applied in order; the value is read as YAML."""
    body: dict[str, Any] = json.loads(json.dumps(raw.body))
    touched: set[tuple[str | int, ...]] = set()
    for text in overrides:
        match = _OVERRIDE.fullmatch(text)
        if match is None:
            raise SettingsError(f"--set {text}: write it as key.path=value, for instance --set source.interval=10s.")
        path = tuple(match["path"].split("."))
        holder = body
        for depth, part in enumerate(path[:-1], start=1):
            if holder.get(part) is None:
                holder[part] = {}
                touched.add(path[:depth])
            below = holder[part]
            if not isinstance(below, dict):
                raise SettingsError(f"--set {match['path']}: {part} is a value, not a group of settings.")
            holder = below
        holder[path[-1]] = _override_value(match["value"], match["path"])
        touched.add(path)
    return RawSettings(body=body, origin=raw.origin, lines=raw.lines, overridden=frozenset(touched))


def _override_value(text: str, path: str) -> Any:
    node = _composed(text, f"--set {path}")
    return None if node is None else _plain(node, (), {}, f"--set {path}")


@functools.cache
def settings_schema() -> dict[str, Any]:
    """``schemas/settings.json`` as data."""
    schema: dict[str, Any] = json.loads(resources.files("schemas").joinpath("settings.json").read_text("utf-8"))
    return schema


def _refuse_faults(raw: RawSettings) -> None:
    if not raw.body:
        return
    # Loaded when needed: the validator that explains takes longer to load than most commands to run.
    import jsonschema_rs  # noqa: PLC0415

    if jsonschema_rs.Draft202012Validator(settings_schema()).is_valid(raw.body):
        return
    import jsonschema  # noqa: PLC0415  (as above)

    validator = jsonschema.Draft202012Validator(settings_schema())
    # A value of the wrong type breaks every other rule of its place too; the type says it all.
    faults = sorted(
        validator.iter_errors(raw.body),
        key=lambda fault: ([str(part) for part in fault.absolute_path], fault.validator != "type"),
    )
    first_of_place = {tuple(fault.absolute_path): fault for fault in reversed(faults)}
    messages = [line for fault in reversed(first_of_place.values()) for line in _explained(raw, fault)]
    if not messages:
        return
    more = len(messages) - _SHOWN_FAULTS
    shown = messages[:_SHOWN_FAULTS] + ([f"and {more} more"] if more > 0 else [])
    raise SettingsError("settings are not valid:\n  " + "\n  ".join(shown))


def _explained(raw: RawSettings, fault: jsonschema.ValidationError) -> list[str]:
    """One line a fault: place, path, what is wrong, what would be right."""
    path = list(fault.absolute_path)
    name = dotted(path) or "the settings"
    schema: Any = fault.schema
    rule: Any = fault.validator_value
    if fault.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        held: Any = fault.instance
        unknown = [key for key in held if key not in known]
        return [
            f"{raw.place([*path, key])}: unknown setting {dotted([*path, key])}{_suggestion(key, known)}"
            for key in unknown
        ]
    match fault.validator:
        case "type":
            text = f"must be {rule if isinstance(rule, str) else ' or '.join(rule)}, not {_kind(fault.instance)}"
        case "enum":
            text = f"must be one of {', '.join(rule)}{_suggestion(str(fault.instance), rule)}"
        case "required":
            text = fault.message
        case "pattern" if str(rule).startswith("^/"):
            # Whoever puts a key where its file's name belongs must not find it in a log.
            text = "must be a path"
        case "pattern":
            text = f"cannot be {json.dumps(fault.instance)[:60]}"
        case _:
            text = _out_of_bounds(str(fault.validator), rule)
    hint = schema.get("description", "")
    return [f"{raw.place(path)}: {name} {text}{f' ({hint})' if hint else ''}"]


def _out_of_bounds(rule: str, bound: Any) -> str:
    """What a value must be, in words that do not quote it."""
    words = {
        "minimum": f"must be at least {bound}",
        "maximum": f"must be at most {bound}",
        "minItems": f"needs at least {bound} entries",
        "maxItems": f"may have at most {bound} entries",
        "minLength": f"needs at least {bound} characters",
        "maxLength": f"may have at most {bound} characters",
        "uniqueItems": "has an entry twice",
    }
    return words.get(rule, f"does not satisfy {rule}")


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return names.get(type(value), "null")


def _suggestion(word: str, known: Sequence[str]) -> str:
    """`` (did you mean X?)``, or the choices there are."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    if near:
        return f" (did you mean {by_lower[near[0]]}?)"
    return f" (known: {', '.join(sorted(known))})" if known else ""
