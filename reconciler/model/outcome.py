"""How the application of one change ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """``CONFLICT``: the object moved since planning, nothing was done. ``REFUSED``: the engine will not do this, ever.
    ``UNKNOWN``: the request was sent and the answer lost: observe before anything else.
    """

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    PROGRESSING = "progressing"
    CONFLICT = "conflict"
    RETRY = "retry"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``reason`` is for people and says what to do next where something is wrong. ``retry_after_s`` is when another
    attempt makes sense (``RETRY``, ``PROGRESSING``). ``steps`` are the side effects that were done, in order, for the
    journal (``defined domain``, ``attached interface backup``).
    """

    result: Result
    reason: str = ""
    retry_after_s: float | None = None
    done: float | None = None
    steps: tuple[str, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether a person should hear of it."""
        return self.result in (Result.REFUSED, Result.FAILED, Result.UNKNOWN, Result.RETRY)
