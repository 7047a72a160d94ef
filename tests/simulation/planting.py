"""One of the `planted` bugs, for as long as a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.planted import PLANTED


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant the bug of that name; an empty one plants none."""
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
