"""What is true of an object right now, for people and for the status API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconciler.model.keys import ObjectKey


class ObjectState(StrEnum):
    """One word on an object. ``READY``: live as declared. ``STAGED``: the rest waits for a restart. ``ORPHANED``: it
    came from a source that is no longer followed.
    """

    READY = "Ready"
    PROGRESSING = "Progressing"
    DRIFTED = "Drifted"
    STAGED = "RestartRequired"
    HELD = "Held"
    BLOCKED = "Blocked"
    INVALID = "Invalid"
    FAILED = "Failed"
    NOT_HERE = "NotHere"
    UNKNOWN = "Unknown"
    SUSPENDED = "Suspended"
    REPORTED = "Reported"
    ORPHANED = "Orphaned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition as Kubernetes has them; names follow KubeVirt (``Ready``, ``RestartRequired``, ``AgentConnected``)."""

    type: str
    status: bool | None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStatus:
    """Declared, applied, stored, running, held and unknown are told apart; ``observed_at`` gives the age of it all.

    ``printable_status`` of a VM is KubeVirt's (``Running``, ``Stopped``, ``Provisioning``, ``CrashLoopBackOff``, …); of
    a volume its phase; of a network ``Active`` or ``Inactive``. ``show`` makes the live object's document.
    ``revision`` is the commit that last changed the live object, ``source`` the name of the source that declares it (empty for
    the only one).
    """

    key: ObjectKey
    state: ObjectState
    printable_status: str
    message: str = ""
    declared: bool = True
    revision: str = ""
    source: str = ""
    observed_at: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    show: Callable[[], Mapping[str, Any]] | None = field(default=None, repr=False, compare=False)
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def live(self) -> Mapping[str, Any] | None:
        """The live object as a document, redacted; made anew each time it is asked for."""
        return self.show() if self.show is not None else None
