"""Single values of a settings file that a schema alone cannot check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reconciler.model.document import dotted
from reconciler.model.durations import parse_duration_s
from reconciler.model.errors import SettingsError
from reconciler.settings.file import RawSettings

T = TypeVar("T")

_SHORTEST_INTERVAL_S = 1.0


def value_at(raw: RawSettings, dotted_path: str) -> Any:
    """The value at a path, None when it or a parent is absent."""
    value: Any = raw.body
    for part in steps(dotted_path):
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def steps(dotted_path: str) -> tuple[str | int, ...]:
    """``sources.0.interval`` → ``("sources", 0, "interval")``."""
    return tuple(int(part) if part.isdigit() else part for part in dotted_path.split("."))


def dotted_at(at: str) -> str:
    """``sources.0`` as people read it: ``sources[0]``."""
    return dotted(steps(at))


def place_at(raw: RawSettings, at: str, name: str) -> str:
    """``file:line`` of the setting ``name`` in the section at a dotted path."""
    return raw.place([*steps(at), name])


def read_parsed(raw: RawSettings, path: str, parse: Callable[[Any], T], *, default: T) -> T:
    """What ``parse`` makes of a value, ``default`` where it is left out.

    Raises:
        SettingsError: ``parse`` raised a ValueError.
    """
    value = value_at(raw, path)
    if value is None:
        return default
    try:
        return parse(value)
    except ValueError as error:
        raise SettingsError(f"{raw.place(steps(path))}: {dotted(steps(path))}: {error}.") from error


def read_duration_s(raw: RawSettings, path: str, *, default: float) -> float:
    """A duration in seconds.

    Raises:
        SettingsError: it is not written as one.
    """
    return read_parsed(raw, path, parse_duration_s, default=default)


def read_interval_s(raw: RawSettings, path: str, *, default: float) -> float:
    """The time between two rounds of something, in seconds.

    Raises:
        SettingsError: it is not written as a duration, or shorter than a second.
    """
    seconds = read_duration_s(raw, path, default=default)
    if seconds < _SHORTEST_INTERVAL_S:
        where = f"{raw.place(steps(path))}: {dotted(steps(path))}"
        raise SettingsError(f"{where} must be at least {_SHORTEST_INTERVAL_S:g}s.")
    return seconds
