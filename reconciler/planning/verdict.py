"""What resolving one object came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import Resolved, ResolvedNetwork
from reconciler.planning.seed import MissingReferenceError
from reconciler.planning.unresolvable import UnresolvableError

CONFIG = ("spec", "config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one object came to: itself, or why it is not there. ``is_held`` says that it is at its last applied document."""

    thing: Resolved | None = None
    invalid: str | None = None
    problem: Problem | None = None
    blocked: tuple[str, tuple[ObjectKey, ...]] | None = None
    is_held: bool = False


def overlapping(network: ResolvedNetwork, reason: str) -> Verdict:
    """A network whose addresses another one has."""
    if network.document is None:
        return Verdict()
    place, path, hint = network.document.place(CONFIG), ".".join(CONFIG), "take another subnet"
    found = problem("network-overlap", place, reason, object=network.key, path=path, hint=hint)
    return Verdict(invalid=reason, problem=found)


def verdict_of(work: Callable[[], Resolved]) -> Verdict:
    """What resolving comes to, with the two ways it can fail."""
    try:
        return Verdict(thing=work())
    except MissingReferenceError as error:
        return Verdict(blocked=(str(error), (error.key,)))
    except UnresolvableError as error:
        return Verdict(invalid=str(error), problem=error.problem)
