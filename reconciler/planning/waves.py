"""Sync waves: what a commit asks for is done wave by wave, and taken away in the reverse order.

A wave begins when everything of the waves before it is done and ready. What puts something right that drifted, what an
operator asked for, and what has begun does not wait; what an earlier wave needs goes with it, whatever its own number says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.keys import ATTACHED_VOLUME, POD_NETWORK, TRASH_ITEM, ObjectKey
from reconciler.model.plan import Action, Blocked, Cause, Change, Hold
from reconciler.model.sync_wave import Wave, wave_number
from reconciler.planning.hold_id import hold_id
from reconciler.planning.plan_absent import is_leaving
from reconciler.planning.proposal import Circumstances
from reconciler.planning.prune import DISABLED
from reconciler.planning.redact import source_of
from reconciler.planning.safety import Approvals, has_begun

RULE = "sync-wave"
_SHOWN = 3
_NO_WAVE = (ATTACHED_VOLUME, POD_NETWORK.kind, TRASH_ITEM)
_NOT_WAITED_FOR = ("not-by-itself", DISABLED)
"""Holds of what stays as it is on purpose."""

_UNDONE = {
    Action.CREATE: "not made yet",
    Action.UPDATE: "not as declared yet",
    Action.RESTART: "to be restarted",
    Action.DELETE: "not gone yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """What a plan says beside the changes that may go on: holds, who is blocked, and what is done and not ready."""

    held: Sequence[Hold]
    blocked: Mapping[ObjectKey, Blocked]
    unready: Mapping[ObjectKey, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Objects in the order in which their turns come. ``turns`` are those of whatever is not settled, ``why`` says what of it
    is not; ``movable`` are the changes that can wait.
    """

    turns: Mapping[ObjectKey, Wave]
    why: Mapping[ObjectKey, str]
    movable: Mapping[ObjectKey, Change]


def hold_later_waves(
    changes: list[Change], around: Circumstances, beside: Unsettled, approvals: Approvals
) -> tuple[list[Change], list[Hold], list[Hold]]:
    """Changes whose turn has come, the holds of the others, and the holds that an approval let go."""
    held: list[Hold] = []
    released: list[Hold] = []
    lines = [(_rising, "waits for")] if around.desired.waves else []
    lines += [(_falling, "goes after")] if any(change.action is Action.DELETE for change in changes) else []
    for line, says in lines:
        for hold in _holds(line(changes, around, beside), changes, beside, says):
            (released if approvals.names(hold) or _all_begun(hold, approvals) else held).append(hold)
    waiting = {(change.key, change.action) for hold in held for change in hold.changes}
    return [change for change in changes if (change.key, change.action) not in waiting], held, released


def turns_of(changes: Sequence[Change], around: Circumstances) -> dict[ObjectKey, int]:
    """Where each change stands in the order of waves: deletions run the other way, and what another one needs is not later than it."""
    turns = {change.key: _own_turn(change, around) for change in changes}
    needs = {change.key: change.needs for change in changes}
    todo = list(needs)
    while todo:
        key = todo.pop()
        for need in needs[key]:
            if turns.get(need, turns[key]) > turns[key]:
                turns[need] = turns[key]
                todo.append(need)
    return turns


def _own_turn(change: Change, around: Circumstances) -> int:
    found = _leaving_wave(change.key, around) if change.action is Action.DELETE else _wave(change.key, around)
    number = found.number if found is not None else 0
    return -number if change.action is Action.DELETE else number


def _all_begun(hold: Hold, approvals: Approvals) -> bool:
    """Whether all that a hold keeps was let go before and waited for something else since. Approved deletions are another
    matter: a person let them go for their number.
    """
    return all(
        change.action is Action.CREATE and (change.key, change.action) in approvals.changes for change in hold.changes
    )


def _rising(changes: Iterable[Change], around: Circumstances, beside: Unsettled) -> _Line:
    """Everything declared that is not as it shall be."""
    desired = around.desired
    why: dict[ObjectKey, str] = dict(beside.unready)
    why |= {key: "waiting" if entry.waiting else "blocked" for key, entry in beside.blocked.items()}
    why |= dict.fromkeys(desired.blocked, "blocked")
    for hold in beside.held:
        if hold.rule not in _NOT_WAITED_FOR:
            why |= {change.key: f"held: {hold.rule}" for change in hold.changes}
    made = {change.key: change for change in changes if change.action is not Action.DELETE}
    why |= {key: _undone(change, around) for key, change in made.items()}
    why |= dict.fromkeys(desired.invalid, "not valid")
    found = ((key, _wave(key, around)) for key in why if key not in desired.not_here)
    return _Line(
        turns={key: wave for key, wave in found if wave is not None},
        why=why,
        movable={key: change for key, change in made.items() if _can_wait(change, around)},
    )


def _falling(changes: Iterable[Change], around: Circumstances, beside: Unsettled) -> _Line:
    """Everything that leaves, the highest wave first."""
    why = {key: "waiting" for key, entry in beside.blocked.items() if entry.waiting and is_leaving(key, around)}
    for hold in beside.held:
        if hold.rule not in _NOT_WAITED_FOR:
            why |= {change.key: f"held: {hold.rule}" for change in hold.changes if change.action is Action.DELETE}
    gone = {change.key: change for change in changes if change.action is Action.DELETE}
    why |= {key: _undone(change, around) for key, change in gone.items()}
    found = ((key, _leaving_wave(key, around)) for key in why)
    return _Line(
        turns={key: Wave(wave.source, -wave.number) for key, wave in found if wave is not None},
        why=why,
        movable={key: change for key, change in gone.items() if _can_wait(change, around)},
    )


def _undone(change: Change, around: Circumstances) -> str:
    return "its last attempt failed" if change.key in around.failed else _UNDONE[change.action]


def _can_wait(change: Change, around: Circumstances) -> bool:
    """Only news from Git waits, and only before it has begun or somebody asked for the object by name."""
    asked = change.key in around.asked or change.key in around.restarts
    return change.cause is Cause.COMMIT and not asked and not has_begun(change, around)


def _wave(key: ObjectKey, around: Circumstances) -> Wave | None:
    """The wave of a declared object; None for what no manifest declares."""
    return around.desired.waves.of(key) if key.kind not in _NO_WAVE else None


def _leaving_wave(key: ObjectKey, around: Circumstances) -> Wave | None:
    """The wave of an object that left Git, as it was last applied."""
    live = around.live(key)
    if live is None or live.marks is None or key.kind in _NO_WAVE:
        return None
    return Wave(source_of(live), wave_number(live.marks.applied))


def _holds(line: _Line, changes: Iterable[Change], beside: Unsettled, says: str) -> list[Hold]:
    """One hold for each wave whose turn has not come."""
    first: dict[str, int] = {}
    for wave in line.turns.values():
        first[wave.source] = min(wave.number, first.get(wave.source, wave.number))
    late = {key for key in line.movable if (turn := line.turns.get(key)) and turn.number > first[turn.source]}
    if not late:
        return []
    needs = {change.key: change.needs for change in changes}
    begun = [key for key, wave in line.turns.items() if wave.number == first[wave.source]]
    begun += [key for key in needs if key not in late]
    late -= _needed_by(begun, lambda key: (*needs.get(key, ()), *_blockers(key, beside)))
    waves: dict[Wave, list[Change]] = {}
    for key in sorted(late):
        waves.setdefault(line.turns[key], []).append(line.movable[key])
    return [_hold(wave, first[wave.source], held, line, says) for wave, held in sorted(waves.items())]


def _blockers(key: ObjectKey, beside: Unsettled) -> tuple[ObjectKey, ...]:
    entry = beside.blocked.get(key)
    return entry.by_keys if entry is not None else ()


def _needed_by(keys: Iterable[ObjectKey], needs: Callable[[ObjectKey], Iterable[ObjectKey]]) -> set[ObjectKey]:
    """Everything that any of the objects needs, and what that needs."""
    found: set[ObjectKey] = set()
    todo = list(keys)
    while todo:
        new = [need for need in needs(todo.pop()) if need not in found]
        found.update(new)
        todo += new
    return found


def _hold(wave: Wave, first: int, held: Sequence[Change], line: _Line, says: str) -> Hold:
    """``first`` is the turn that has come. Numbers are told as manifests have them: turns of deletions run the other way."""
    falling = held[0].action is Action.DELETE
    number, awaited = (-wave.number, -first) if falling else (wave.number, first)
    before = sorted(key for key, turn in line.turns.items() if turn == Wave(wave.source, first))
    told = ", ".join(f"{key} ({line.why[key]})" for key in before[:_SHOWN])
    more = f" and {len(before) - _SHOWN} more" if len(before) > _SHOWN else ""
    reason = f"sync wave {number} {says} wave {awaited}: {told}{more}"
    return Hold(hold_id=hold_id(held), rule=RULE, reason=reason, changes=tuple(held))
