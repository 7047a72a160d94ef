"""Something that happened, told once, for people who watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.keys import ObjectKey


class EventType(StrEnum):
    """Kubernetes' two words: a warning may need a person."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``reason`` is one word in CamelCase (``Created``, ``DriftCorrected``, ``Stopped``); ``message`` is for people, free of
    secrets. ``source`` is the name of the source it comes from, empty for the only one, and for what comes from none.
    """

    at: datetime
    type: EventType
    reason: str
    message: str
    object: ObjectKey | None = None
    source: str = ""
