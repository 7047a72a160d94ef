"""What the rules of one kind report to."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from reconciler.model.document import Document, FieldPath, dotted
from reconciler.model.problem import Problem, Severity
from reconciler.model.problem_codes import problem, severity_of
from reconciler.model.quantity import parse_quantity

MAX_FINDINGS = 100
"""Problems of one document that are told; finding the place of one is a walk through the document."""


class Findings:
    """Collects the problems of one document, which has already passed its schema."""

    __slots__ = ("_untold", "document", "problems")

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._untold = 0

    def add(self, code: str, path: FieldPath, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Report a fault of the field at ``path`` (its closest parent when it is missing)."""
        if len(self.problems) >= MAX_FINDINGS:
            self._untold += severity_of(code) is Severity.ERROR
            return
        place = self.document.place(path, key=at_key)
        found = problem(code, place, message, object=self.document.key, path=dotted(path), hint=hint)
        self.problems.append(found)

    def told(self) -> tuple[Problem, ...]:
        """What was reported, and how many errors beyond that there are."""
        if not self._untold:
            return tuple(self.problems)
        more = problem(
            "problems-untold", self.document.place(), f"and {self._untold} more errors", object=self.document.key
        )
        return (*self.problems, more)

    def amount(self, path: FieldPath, value: Any, *, zero_allowed: bool = False) -> Fraction | None:
        """A quantity's value; None when it is absent, or was reported as unreadable or not positive."""
        if value is None:
            return None
        try:
            amount = parse_quantity(value)
        except ValueError as fault:
            message, _, hint = str(fault).partition("; ")
            self.add("quantity-invalid", path, message, hint)
            return None
        # The sign is the numerator's; comparing fractions costs ten times as much.
        if amount.numerator < 0 or (amount.numerator == 0 and not zero_allowed):
            self.add("quantity-invalid", path, f"{value} is not more than zero")
            return None
        return amount
