"""What is written down about one problem code."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.problem import Severity

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True)
class ProblemCode:
    """One kind of fault: its severity, what it means and what its reader should do."""

    code: str
    severity: Severity
    meaning: str
    remedy: str
