"""A refusal of the engine as a problem of a document."""

from __future__ import annotations

from collections.abc import Sequence

from nodeexec.libvirt.table import Refused
from reconciler.model.document import Document, dotted
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

NOT_SUPPORTED = "field-not-supported"
WITHOUT_EFFECT = "field-without-effect"


def refusal(document: Document, path: Sequence[str | int], refused: Refused) -> Problem:
    """The problem of what stands at ``path``: an error, or a warning where it is harmless."""
    code = WITHOUT_EFFECT if refused.harmless else NOT_SUPPORTED
    tail = dotted(tuple(path)).rpartition(".")[2]
    return problem(
        code,
        document.place(path, key=True),
        f"{tail}: {refused.reason}",
        object=document.key,
        path=dotted(tuple(path)),
        hint=refused.hint or ("" if refused.harmless else "take it out"),
    )
