"""One of the `planted` bugs, for as long as a block runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Patch = Callable[[Any, str, Any], None]
"""Gives an attribute of a module or class another value, as ``setattr`` does, for a while."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant the bug of that name; an empty one plants none."""
    from tests.simulation.planted import PLANTED  # it needs `Patch`

    before: list[tuple[Any, str, Any]] = []

    def patch(owner: Any, attribute: str, value: Any) -> None:
        before.append((owner, attribute, vars(owner)[attribute]))
        setattr(owner, attribute, value)

    for plant in PLANTED:
        if plant.__name__ == name:
            plant(patch)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(before):
            setattr(owner, attribute, value)
