"""Sync waves as manifests say them, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.document import Document, dotted
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.sync_wave import MARK, wave_number, wrong_waves

_HINT = 'write a whole number of at most nine digits in quotes, such as "1" or "-5"'


def sync_wave_problems(document: Document) -> Iterator[Problem]:
    """Sync waves of one document that are no numbers."""
    for name, value in wrong_waves(document.body):
        path = ("metadata", "annotations", name)
        text = f"{name} is a whole number, not {value[:80]!r}"
        place = document.place(path)
        yield problem("sync-wave-invalid", place, text, object=document.key, path=dotted(path), hint=_HINT)


def number_of(document: Document) -> int:
    """The sync wave that a valid document says, 0 for none."""
    return wave_number(document.body) if MARK in document.text else 0
