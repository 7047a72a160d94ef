"""A valid document that cannot be made true on this host as it is configured."""

from __future__ import annotations

from reconciler.model.problem import Problem


class UnresolvableError(Exception):
    """``problem`` says it as `validate` does, the exception's text as a status does."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.place}: {problem.message}" + (f"; {problem.hint}" if problem.hint else ""))
        self.problem = problem
