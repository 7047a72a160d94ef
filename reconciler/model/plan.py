"""What would be done: differences, changes, holds, and the plan they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.power import PowerStep
from reconciler.model.resolved import Resolved

_ORDER = ("none", "live", "restart", "replace", "data-loss")


class Impact(StrEnum):
    """What a change costs, mildest first: nothing the guest could see; a change of the running guest; an interruption
    of the guest; the object goes away or is made anew while its data is kept; data is destroyed.
    """

    NONE = "none"
    LIVE = "live"
    RESTART = "restart"
    REPLACE = "replace"
    DATA_LOSS = "data-loss"

    @property
    def rank(self) -> int:
        """For comparing and for ``max(..., key=...)``."""
        return _ORDER.index(self.value)


def worst(impacts: list[Impact]) -> Impact:
    """The gravest of them; ``none`` of nothing."""
    return max(impacts, key=lambda impact: impact.rank, default=Impact.NONE)


class Action(StrEnum):
    """What a change does to its object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTART = "restart"


class Cause(StrEnum):
    """Why a change is there: Git changed; the world changed; a person said so; an earlier attempt did not finish; its time
    is over.
    """

    COMMIT = "commit"
    DRIFT = "drift"
    OPERATOR = "operator"
    RETRY = "retry"
    EXPIRY = "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that is not as wanted. ``path`` is the manifest path, list items by name
    (``spec.template.spec.domain.devices.interfaces[default].model``). ``before`` and ``after`` are plain data as a
    manifest would say them; None means absent. ``stored`` and ``running`` say which half of a VM is off.
    ``refused`` is a reason why gitvirt will not make this difference go away by itself; it is then only reported.
    """

    path: str
    before: Any
    after: Any
    impact: Impact
    reason: str
    stored: bool = True
    running: bool = True
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The public JSON shape."""
        return {
            "path": self.path,
            "from": self.before,
            "to": self.after,
            "impact": str(self.impact),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object's part of a plan.

    ``wanted`` is None for a deletion. ``expected`` is the live object's fingerprint at planning, empty for an object
    that is to be created: an engine that finds another drops the change. ``power`` is what to do to the guest.
    ``power_alone``: nothing else of the object is changed, because what the rest of it needs is not there yet.
    ``restore`` names the trash item to take the object's data from. ``revision`` is the commit that wants it, of the source
    named ``source`` (empty for the only one). ``needs`` are objects whose changes of the same plan must have ended well first.
    """

    key: ObjectKey
    action: Action
    cause: Cause
    impact: Impact
    reason: str
    expected: str
    revision: str
    source: str = ""
    wanted: Resolved | None = None
    differences: tuple[Difference, ...] = ()
    power: PowerStep | None = None
    power_alone: bool = False
    restore: str = ""
    needs: tuple[ObjectKey, ...] = ()

    @property
    def takes_guest_down(self) -> bool:
        """Whether a guest that runs is ended by it: what is stored comes into effect by that, or when it is started again."""
        return self.action is Action.RESTART or self.power in (PowerStep.STOP, PowerStep.RESTART)

    def to_dict(self) -> dict[str, Any]:
        """The public JSON shape."""
        return {
            "object": str(self.key),
            "action": str(self.action),
            "impact": str(self.impact),
            "reason": self.reason,
            "cause": str(self.cause),
            **({"source": self.source} if self.source else {}),
            **({"power": str(self.power)} if self.power else {}),
            **({"restore": self.restore} if self.restore else {}),
            "differences": [difference.to_dict() for difference in self.differences],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Changes that wait for a person. ``hold_id`` is the hash of the held changes alone; ``rule`` names the law
    (``blast-radius``, ``prune-confirm``, ``prune-disabled``, ``suspended``, ``report-mode``, ``foreign-device``, …).
    ``approvable`` says whether `gitvirt approve` releases it; otherwise ``reason`` says what does.
    """

    hold_id: str
    rule: str
    reason: str
    changes: tuple[Change, ...]
    approvable: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The public JSON shape."""
        return {
            "hold_id": self.hold_id,
            "rule": self.rule,
            "reason": self.reason,
            "approvable": self.approvable,
            "changes": [change.to_dict() for change in self.changes],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """An object that cannot proceed. ``by`` names what it waits for, as text for people (``DataVolume/default/root is
    ImportInProgress (40 %)``); ``by_keys`` are the objects, where they are objects. ``waiting`` tells a wait that ends
    by itself from a fault that needs a person.
    """

    key: ObjectKey
    by: str
    by_keys: tuple[ObjectKey, ...] = ()
    waiting: bool = False
    retry_after_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The public JSON shape."""
        return {
            "object": str(self.key),
            "by": self.by,
            "objects": [str(k) for k in self.by_keys],
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something true and worth saying that asks for no change (a request below the live size, a restart that waits)."""

    key: ObjectKey
    code: str
    message: str
    differences: tuple[Difference, ...] = ()


UNWELL = "not-well"
"""Code of the note that a platform says something is wrong with an object; what it says is health, not a change."""


def revisions_dict(revisions: Mapping[str, str]) -> dict[str, Any]:
    """The public JSON shape of what a plan stands on: ``revision`` of the only source, ``revisions`` by the names of several."""
    named = {name: commit for name, commit in sorted(revisions.items()) if name}
    return {"revisions": named} if named else {"revision": revisions.get("", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Totally ordered and deterministic: same input, same bytes, same ``plan_id``.

    ``changes`` are in order of execution: networks, storage, VMs; deletions in reverse. ``restart_required`` maps a VM to
    the differences that wait for a restart. ``released`` are holds that an approval let go in this plan. ``revisions`` maps
    the name of each source (empty for the only one) to the commit that is planned for.
    ``retry_after_s`` is when to look again, None when only an event can help.
    """

    plan_id: str
    revisions: Mapping[str, str]
    changes: tuple[Change, ...]
    held: tuple[Hold, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[Note, ...] = ()
    restart_required: Mapping[ObjectKey, tuple[Difference, ...]] = field(default_factory=dict)
    released: tuple[Hold, ...] = ()
    retry_after_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The public JSON shape of ``gitvirt plan -o json``."""
        return {
            "plan_id": self.plan_id,
            **revisions_dict(self.revisions),
            "changes": [change.to_dict() for change in self.changes],
            "held": [hold.to_dict() for hold in self.held],
            "blocked": [entry.to_dict() for entry in self.blocked],
            "notes": [{"object": str(n.key), "code": n.code, "message": n.message} for n in self.notes],
            "restart_required": [
                {"object": str(key), "differences": [difference.to_dict() for difference in differences]}
                for key, differences in sorted(self.restart_required.items())
            ],
        }
