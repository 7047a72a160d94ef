"""Why a verb is not carried out, as exceptions that say what to do instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reconciler.model.errors import DaemonError, EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Hold, Plan
from reconciler.model.record import AppliedChange
from reconciler.model.status import ObjectStatus
from reconciler.planning.safety import KEPT_RULES


def missing_vm(key: ObjectKey, there: Iterable[ObjectKey], told: Iterable[ObjectStatus], place: str) -> DaemonError:
    """There is no such VM there (``place`` says where that is): why not, where it is declared; else the ones that were probably meant, in other
    namespaces too.
    """
    declared = next((status for status in told if status.key == key and status.declared), None)
    if declared is not None:
        why = f": {declared.message}" if declared.message else ""
        return DaemonError(f"VM {key.namespace}/{key.name} is declared and not {place} (yet){why}")
    names = [(f"{other.namespace}/{other.name}", other.name) for other in sorted(there) if other.kind == key.kind]
    near = difflib.get_close_matches(key.name, [short for _, short in names], n=3, cutoff=0.6)
    meant = ", ".join(full for full, short in names if short in near)
    hint = f"did you mean {meant}?" if meant else "`gitvirt get vm` lists them."
    return DaemonError(f"there is no VM {key.namespace}/{key.name}; {hint}")


def refuse_unless_running(live: LiveObject | None) -> None:
    """A guest that is off cannot be restarted.

    Raises:
        DaemonError: it is off.
    """
    if isinstance(live, LiveVm) and live.running is None:
        name = f"{live.key.namespace}/{live.key.name}"
        raise DaemonError(f"VM {name} is off: there is nothing to restart. `gitvirt start` starts it.")


def refuse_held_restart(key: ObjectKey, applied: Iterable[AppliedChange], plan: Plan | None) -> None:
    """A restart is asked for once, not for later: where nothing may be done, or what the next boot needs is not there yet, it does not
    happen at all, and who asked has to know.

    Raises:
        DaemonError: it was held, or waits.
    """
    if plan is None or any(one.change.key == key for one in applied):
        return
    held = (hold for hold in plan.held if hold.rule in KEPT_RULES and any(change.key == key for change in hold.changes))
    why = [*(hold.reason for hold in held), *(entry.by for entry in plan.blocked if entry.key == key)]
    if why:
        raise DaemonError(f"VM {key.namespace}/{key.name} was not restarted, and will not be by itself: {why[0]}.")


def stale_approval(hold_id: str, before: tuple[Hold, bool] | None, holds: Iterable[Hold]) -> DaemonError:
    """Nothing waits under an id any more, or never did; says what waits instead. ``before`` is what did lately, and
    whether it was let go.
    """
    told = [f"{hold.hold_id} ({hold.rule}, {_counted(hold)})" for hold in holds if hold.approvable]
    waiting = f"waiting for approval now: {', '.join(told) or 'nothing'}."
    if before is None:
        return DaemonError(f"no changes wait under {hold_id}, and none did lately. Nothing was done; {waiting}")
    hold, was_released = before
    if was_released:
        return DaemonError(f"{hold_id} was let go already, and an approval counts once. Nothing was done; {waiting}")
    why = f"the {_counted(hold)} that waited under it are others now, and so is their id"
    return DaemonError(f"{hold_id} is stale: {why}. Nothing was done; read `gitvirt plan` again; {waiting}")


def _counted(hold: Hold) -> str:
    return f"{len(hold.changes)} change{'s' * (len(hold.changes) != 1)}"


def refuse_hold(hold: Hold) -> None:
    """Some holds wait for something else than a person's word.

    Raises:
        DaemonError: approval does not release it.
    """
    if not hold.approvable:
        raise DaemonError(f"{hold.hold_id} is not released by approve: {hold.reason}.")


def refuse_fault(outcome: Outcome, what: str) -> None:
    """An outcome that is no success, as the exception a command reports.

    Raises:
        DaemonError: refused; the object moved.
        EngineError: failed, or nobody knows.
    """
    if outcome.result in (Result.REFUSED, Result.CONFLICT):
        raise DaemonError(f"{what}: {outcome.reason or outcome.result}")
    if outcome.is_fault:
        raise EngineError(f"{what}: {outcome.reason or outcome.result}")
