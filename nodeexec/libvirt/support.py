"""What this engine cannot honour in a valid manifest: `Engine.check`."""

from __future__ import annotations

from reconciler.model.document import Document
from reconciler.model.problem import Problem


def check(document: Document) -> tuple[Problem, ...]:
    """Problems ``field-not-supported`` (error) and ``field-without-effect`` (warning), in the order of the document."""
    raise NotImplementedError
