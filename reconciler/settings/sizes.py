"""Sizes as the file writes them: ``8Mi``, ``256Gi``, as in manifests."""

from __future__ import annotations

from reconciler.model.errors import SettingsError
from reconciler.model.quantity import parse_quantity
from reconciler.settings.file import RawSettings
from reconciler.settings.values import value_at

_UNITS = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))


def read_size(raw: RawSettings, path: str, *, default: int) -> int:
    """A size in bytes, at least 1.

    Raises:
        SettingsError: it is not written as one.
    """
    text = value_at(raw, path)
    if text is None:
        return default
    try:
        size = int(parse_quantity(text))
        if size < 1:
            raise ValueError("it must be at least 1")
    except ValueError as error:
        raise SettingsError(f"{raw.place(path.split('.'))}: {path}: {error}.") from error
    return size


def format_size(size: int) -> str:
    """The shortest text that `read_size` reads back."""
    for unit, worth in _UNITS:
        if size % worth == 0:
            return f"{size // worth}{unit}"
    return str(size)
