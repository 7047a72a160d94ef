"""The rules that hold a plan, or a part of it, back: report mode, suspension, blast radius (law 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.origin import Origin
from reconciler.model.plan import Action, Change, Hold
from reconciler.model.policy import Mode
from reconciler.model.resolved import ResolvedVm, RestartPolicy
from reconciler.planning.hold_id import hold_id
from reconciler.planning.power import until_text
from reconciler.planning.proposal import Circumstances
from reconciler.planning.prune import FLUX_RECONCILE, annotations_of
from reconciler.planning.resolve_volume import CLAIM_KINDS

MODE = "gitvirt.io/mode"
"""Annotation: ``report`` or ``enforce`` for one object."""


SUSPENDED, REPORT_MODE = "suspended", "report-mode"
KEPT_RULES = (SUSPENDED, REPORT_MODE)
"""Rules of holds that say: nothing may be done here at the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class of change that the blast radius counts: which changes, and the kinds they happen to."""

    name: str
    kinds: tuple[str, ...]
    action: Action


_ROLLING = "the others follow as time passes while their windows are open"
DELETION_OF_VMS = Class(name="deletion of VMs", kinds=("VirtualMachine",), action=Action.DELETE)
CLASSES = (
    DELETION_OF_VMS,
    Class(name="deletion of disks", kinds=CLAIM_KINDS, action=Action.DELETE),
    Class(name="restart of VMs", kinds=("VirtualMachine",), action=Action.RESTART),
)


def split_by_mode(
    changes: Iterable[Change], around: Circumstances, *, suspended: str
) -> tuple[list[Change], list[Hold]]:
    """Changes that may go on, and the holds of those that a mode or a suspension keeps back.

    ``suspended`` is the reason when reconciliation as a whole is suspended, else empty.
    """
    free: list[Change] = []
    kept: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        keeper = _keeper(change, around, suspended)
        if keeper is None:
            free.append(change)
        else:
            kept.setdefault(keeper, []).append(change)
    holds = [
        Hold(hold_id=hold_id(held), rule=rule, reason=reason, changes=tuple(held), approvable=False)
        for (rule, reason), held in sorted(kept.items())
    ]
    return free, holds


def _keeper(change: Change, around: Circumstances, suspended: str) -> tuple[str, str] | None:
    if suspended:
        return SUSPENDED, suspended
    live = around.live(change.key)
    marks = live.marks if live is not None else None
    if marks is not None and marks.suspended and (marks.suspended_until is None or marks.suspended_until > around.now):
        return (
            SUSPENDED,
            f"suspended {marks.suspended}{until_text(marks.suspended_until)}; `gitvirt resume {change.key.namespace}/{change.key.name}` goes on",
        )
    own = _own_mode(change.key, around)
    if own is not None and own[0] is Mode.REPORT:
        return (
            REPORT_MODE,
            f"its annotation {own[1]} says that nothing is done; take it out when the plan is what you want",
        )
    if own is None and effective_mode(change.key, around) is Mode.REPORT:
        return REPORT_MODE, "mode is report: nothing is done; set mode: enforce when the plan is what you want"
    return None


def effective_mode(key: ObjectKey, around: Circumstances) -> Mode:
    """The mode for one object: its own (an annotation), its namespace's, the repository's, or by the state of the host."""
    own = _own_mode(key, around)
    if own is not None:
        return own[0]
    by_namespace = around.policy.namespace_modes.get(key.namespace)
    if by_namespace is not None:
        return by_namespace
    if around.policy.mode is not None:
        return around.policy.mode
    has_foreign_vms = bool(around.observation.foreign_vms)
    return Mode.REPORT if has_foreign_vms and around.inventory.is_empty else Mode.ENFORCE


def _own_mode(key: ObjectKey, around: Circumstances) -> tuple[Mode, str] | None:
    """What the manifest says, and in which words; of an object that left Git, what it said last. Flux's annotation for
    objects that it shall leave alone means the same as report.
    """
    wanted, live = around.desired.objects.get(key), around.live(key)
    applied = wanted.applied if wanted is not None else live.marks.applied if live is not None and live.marks else None
    annotations = annotations_of(applied)
    if annotations.get(FLUX_RECONCILE, "").lower() == "disabled":
        return Mode.REPORT, f"{FLUX_RECONCILE}: disabled"
    said = annotations.get(MODE, "")
    return (Mode(said), f"{MODE}: {said}") if said in list(Mode) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What a person released: holds by their id, and changes of holds released earlier whose turn has not come yet.
    ``confined`` are ids from commits, each with its source: it has a say in its own namespaces only.
    """

    ids: Collection[str] = ()
    confined: Collection[tuple[Origin, str]] = ()
    changes: Collection[tuple[ObjectKey, Action]] = ()

    def cover(self, hold: Hold) -> bool:
        """Whether all of a hold is released."""
        before = all((change.key, change.action) in self.changes for change in hold.changes)
        return self.names(hold) or (hold.approvable and before)

    def names(self, hold: Hold) -> bool:
        """Whether it is this very hold that a person released."""
        said = any(
            hold.hold_id == hold_id and all(origin.may_declare(change.key) for change in hold.changes)
            for origin, hold_id in self.confined
        )
        return hold.approvable and (said or hold.hold_id in self.ids)


def hold_large_classes(
    changes: list[Change], around: Circumstances, *, approvals: Approvals, waiting: Collection[ObjectKey]
) -> tuple[list[Change], list[Hold], list[Hold]]:
    """Law 7: a class of change that reaches too far waits for a person; the rest goes on. A deletion or restart that
    has begun, was approved before or is asked for by name goes on too, and counts; so do deletions that are ``waiting`` for something else.

    Returns the changes that may go on, the holds, and the holds that an approval let go.
    """
    released: list[Hold] = []
    holds: list[Hold] = []
    for kind_of_change in CLASSES:
        of_class = [c for c in changes if _is_in(c, kind_of_change)]
        begun = [c for c in of_class if _goes_on(c, around) or (c.key, c.action) in approvals.changes]
        new = _without(of_class, begun)
        if not new:
            continue
        later = [key for key in waiting if key.kind in kind_of_change.kinds and kind_of_change.action is Action.DELETE]
        recent = _recent(kind_of_change, around, {change.key for change in of_class})
        # What is being deleted counts as deleted, so not as owned as well.
        owned = around.inventory.owned(kind_of_change.kinds) - (
            len(begun) if kind_of_change.action is Action.DELETE else 0
        )
        done = len(begun) + recent + len(later)
        unknown = around.observation.deletions_unknown if kind_of_change is DELETION_OF_VMS else ""
        if unknown:
            holds.append(
                Hold(hold_id=hold_id(new), rule="blast-radius", reason=unknown, changes=tuple(new), approvable=False)
            )
            changes = _without(changes, new)
            continue
        reason = _reaches_too_far(len(new), done, owned - len(later), around, kind_of_change)
        if reason is None:
            continue
        hold = Hold(hold_id=hold_id(new), rule="blast-radius", reason=reason, changes=tuple(new))
        if approvals.cover(hold):
            released.append(hold)
            continue
        rolling = [change for change in new if _is_by_window(change)]
        others = len(new) - len(rolling)
        if rolling and _reaches_too_far(others, done, owned - len(later), around, kind_of_change) is None:
            go = _as_many_as_allowed(rolling, done + others, owned - len(later), around, kind_of_change)
            left = _without(rolling, go)
            hold = Hold(hold_id=hold_id(left), rule=hold.rule, reason=f"{reason}; {_ROLLING}", changes=tuple(left))
            if approvals.cover(hold):
                released.append(hold)
                continue
        holds.append(hold)
        changes = _without(changes, hold.changes)
    return changes, holds, released


def _without(changes: Iterable[Change], others: Iterable[Change]) -> list[Change]:
    """The changes of a plan but for some of them. An object has one change in a plan; comparing whole changes would take the square of
    their number, and it is the large plans that are held.
    """
    keys = {change.key for change in others}
    return [change for change in changes if change.key not in keys]


def _is_by_window(change: Change) -> bool:
    """Whether a restart is that of an open window: its owner agreed to it beforehand, if not to how many at once."""
    by_window = isinstance(change.wanted, ResolvedVm) and change.wanted.restart_policy is RestartPolicy.WINDOW
    return change.action is Action.RESTART and by_window


def _as_many_as_allowed(
    changes: list[Change], done: int, owned: int, around: Circumstances, kind_of_change: Class
) -> list[Change]:
    """The first of the changes, as many as the blast radius has room for."""
    count = 0
    while count < len(changes) and _reaches_too_far(count + 1, done, owned, around, kind_of_change) is None:
        count += 1
    return changes[:count]


def release_approved(holds: Iterable[Hold], approvals: Approvals) -> tuple[list[Hold], list[Hold]]:
    """The holds that a person released, and those that remain."""
    released: list[Hold] = []
    left: list[Hold] = []
    for hold in holds:
        (released if approvals.cover(hold) else left).append(hold)
    return released, left


def _is_in(change: Change, kind_of_change: Class) -> bool:
    return change.action is kind_of_change.action and change.key.kind in kind_of_change.kinds


def _goes_on(change: Change, around: Circumstances) -> bool:
    """Whether a change has begun, or is a restart that a person asked for by name just now."""
    return (change.action is Action.RESTART and change.key in around.restarts) or has_begun(change, around)


def has_begun(change: Change, around: Circumstances) -> bool:
    """Whether a VM is being stopped already, for this deletion or restart."""
    live = around.live(change.key)
    asked_by = {Action.DELETE: "delete", Action.RESTART: "restart"}.get(change.action)
    return asked_by is not None and isinstance(live, LiveVm) and live.history.stop_asked_by == asked_by


def _recent(kind_of_change: Class, around: Circumstances, again: Collection[ObjectKey]) -> int:
    """How many others of this class were done within the window, from the marks on the host. A VM that is restarted
    or deleted ``again`` is still one VM.
    """
    since = around.now - timedelta(seconds=around.policy.blast_radius.window_s)
    if kind_of_change.action is Action.RESTART:
        return around.inventory.restarts_since(since, but=again)
    owner, kinds = around.policy.owner, kind_of_change.kinds
    in_trash = [
        item for item in around.observation.trash
        if item.owner == owner and item.key.kind in kinds and item.counts_from > since
    ]  # fmt: skip
    gone = {one.key for one in around.observation.deletions if one.key.kind in kinds and one.at > since}
    return len(in_trash) + len(gone.difference(again))


def _reaches_too_far(new: int, done: int, owned: int, around: Circumstances, kind_of_change: Class) -> str | None:
    """The reason to hold, or None. Deleted objects count as owned, so that a slow mass deletion is seen as one."""
    radius = around.policy.blast_radius
    total = new + done
    base = owned + (done if kind_of_change.action is Action.DELETE else 0)
    within = f"{total} within {radius.window_s / 60:.0f} min" if done else f"{total}"
    if total > radius.few and (total > radius.share * base or total > radius.many):
        return f"{kind_of_change.name}: {within} of {base}, more than the blast radius allows"
    if total >= 2 and total >= base:
        return f"{kind_of_change.name}: {within}, and that is all of them"
    return None
