"""Frozen values as plain JSON and back, told by their types: what is as by default is left out.

A member of a union of dataclasses is ``{"ItsName": {…}}``. A field that did not exist when a value was written has its
default when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any, kind: Any) -> Any:
    """``value``, which is of type ``kind``, as what `json` can write."""
    if value is None:
        return None
    members = _members(kind)
    if len(members) > 1:
        return {type(value).__name__: plain(value, type(value))}
    [kind] = members
    if is_dataclass(kind):
        shown = ((one.name, getattr(value, one.name), hint) for one, hint in _fields(kind))
        defaults = {one.name: _default(one) for one, _ in _fields(kind)}
        return {name: plain(inner, hint) for name, inner, hint in shown if inner != defaults[name]}
    if isinstance(value, Enum):
        return value.value
    if get_origin(kind) is tuple:
        return [plain(inner, hint) for inner, hint in zip(value, _items(kind, len(value)), strict=True)]
    if isinstance(value, Mapping):
        return {key: plain(inner, get_args(kind)[1]) for key, inner in value.items()}
    return value


def revived(data: Any, kind: type[T]) -> T:
    """What `plain` made of a value of that type.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    found: T = _revived(data, kind)
    return found


def _revived(data: Any, kind: Any) -> Any:
    if data is None:
        return None
    members = _members(kind)
    if len(members) > 1:
        [(name, inner)] = data.items()
        return _revived(inner, {member.__name__: member for member in members}[name])
    [kind] = members
    if is_dataclass(kind):
        hints = {one.name: hint for one, hint in _fields(kind)}
        return kind(**{name: _revived(inner, hints[name]) for name, inner in data.items()})
    if get_origin(kind) is tuple:
        return tuple(_revived(inner, hint) for inner, hint in zip(data, _items(kind, len(data)), strict=True))
    if get_origin(kind) in (Mapping, dict):
        return {key: _revived(inner, get_args(kind)[1]) for key, inner in data.items()}
    return kind(data)


def _members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, without None; another type by itself."""
    if get_origin(kind) in (UnionType, Union):
        return tuple(member for member in get_args(kind) if member is not NoneType)
    return (kind,)


def _items(kind: Any, length: int) -> tuple[Any, ...]:
    inner = get_args(kind)
    return inner[:1] * length if inner[1:] == (Ellipsis,) else inner


@cache
def _fields(kind: Any) -> tuple[tuple[Any, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((one, hints[one.name]) for one in fields(kind))


def _default(one: Any) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default
