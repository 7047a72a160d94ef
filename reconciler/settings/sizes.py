"""Sizes as the file writes them: ``8Mi``, ``256Gi``, as in manifests."""

from __future__ import annotations

from typing import Any

from reconciler.model.quantity import parse_quantity
from reconciler.settings.file import RawSettings
from reconciler.settings.values import read_parsed

_UNITS = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))


def read_size(raw: RawSettings, path: str, *, default: int) -> int:
    """A size in bytes, at least 1.

    Raises:
        SettingsError: it is not written as one.
    """
    return read_parsed(raw, path, _parse_size, default=default)


def _parse_size(text: Any) -> int:
    size = int(parse_quantity(text))
    if size < 1:
        raise ValueError("it must be at least 1")
    return size


def format_size(size: int) -> str:
    """The shortest text that `read_size` reads back."""
    for unit, worth in _UNITS:
        if size % worth == 0:
            return f"{size // worth}{unit}"
    return str(size)
