"""Single values of a settings file that a schema alone cannot check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.errors import SettingsError
from reconciler.settings.durations import parse_duration_s
from reconciler.settings.file import RawSettings

_SHORTEST_INTERVAL_S = 1.0


def value_at(raw: RawSettings, dotted_path: str) -> Any:
    """The value at a path, None when it or a parent is absent."""
    value: Any = raw.body
    for part in dotted_path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def read_duration_s(raw: RawSettings, path: str, *, default: float) -> float:
    """A duration in seconds.

    Raises:
        SettingsError: it is not written as one.
    """
    text = value_at(raw, path)
    if text is None:
        return default
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise SettingsError(f"{raw.place(path.split('.'))}: {path}: {error}.") from error


def read_interval_s(raw: RawSettings, path: str, *, default: float) -> float:
    """The time between two rounds of something, in seconds.

    Raises:
        SettingsError: it is not written as a duration, or shorter than a second.
    """
    seconds = read_duration_s(raw, path, default=default)
    if seconds < _SHORTEST_INTERVAL_S:
        raise SettingsError(f"{raw.place(path.split('.'))}: {path} must be at least {_SHORTEST_INTERVAL_S:g}s.")
    return seconds
