"""What people can ask for: one method a verb, with plain data as answer.

Used by the daemon for its control socket, and by commands themselves where no daemon runs. Whatever acts runs in a
`Turn`, between two cycles, and is recorded as an `OperatorAction` of the cycle that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from reconciler.daemon.arguments import KINDS, Arguments
from reconciler.daemon.cycle import Cycle, CycleReport
from reconciler.daemon.names import NAMED, names
from reconciler.daemon.refusals import missing_vm, refuse_fault, refuse_hold, refuse_unless_running
from reconciler.daemon.suspension import Suspended, SuspensionFile
from reconciler.daemon.views import (
    followed_view,
    host_view,
    plan_summary,
    report_view,
    settled_mapping,
    source_holds,
    status_view,
    time_text,
    trash_view,
)
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError, EngineError, SourceError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, Marks
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.power import Override, OverrideAction, PowerState
from reconciler.model.record import OperatorAction
from reconciler.planning.render import render_markdown, render_text
from reconciler.ports import Clock, Engine

T = TypeVar("T")
Json = Mapping[str, Any]


class Turn(Protocol):
    """The right to act alone: on the daemon's cycle thread, or in a command that holds the lock. ``in_daemon`` tells
    which.
    """

    in_daemon: bool

    def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` while no cycle runs."""
        ...

    def run(self, wake: Wake) -> CycleReport:
        """One cycle; called from within `call`."""
        ...

    def tell(self, wake: Wake) -> None:
        """Let the daemon's next cycle look there; without a daemon nobody does."""
        ...


class Operations:
    """The verbs. ``VERBS`` maps the name of each to its method."""

    def __init__(
        self,
        *,
        cycle: Cycle,
        engine: Engine,
        clock: Clock,
        policy: Policy,
        turn: Turn,
        suspension: SuspensionFile,
    ) -> None:
        self._cycle = cycle
        self._engine = engine
        self._clock = clock
        self._policy = policy
        self._turn = turn
        self._suspension = suspension

    def serve(self, verb: str, arguments: Json, user: str) -> Json:
        """Carry out a verb for a user.

        Raises:
            DaemonError: no such verb or argument, or it is refused.
            GitvirtError: whatever else stands in the way.
        """
        method = VERBS.get(verb)
        if method is None:
            raise DaemonError(f"there is no verb {verb[:60]!r}; this gitvirt may be older than its command.")
        return method(self, Arguments(verb, arguments), user)

    def apply_suspension(self) -> None:
        """Tell the cycle whether everything is suspended now; called before each cycle, as a suspension can end."""
        found = self._suspension.read(self._clock.now())
        self._cycle.suspended = str(found) if found else ""

    def look(self) -> str:
        """Observe now, so that an answer is not older than its question; what stood in the way, empty for nothing. The
        last look stays what it was then, and its age is told.
        """
        self.apply_suspension()
        try:
            self._seen(self._cycle.plan_now())
        except (EngineError, SourceError) as fault:
            return str(fault)
        return ""

    def _seen(self, plan: Plan) -> Plan:
        """What a question came upon and no event told of, the cycle has to look at too."""
        if plan.changes:
            self._turn.tell(Wake(keys=frozenset(change.key for change in plan.changes), detected_at=self._clock.now()))
        return plan

    def status(self, arguments: Arguments, _: str) -> Json:
        """Everything at a glance."""
        arguments.finish()
        fault = self.look()
        report = self._cycle.report
        observation = self._cycle.observation
        problems = self._cycle.problems
        return {
            "owner": self._policy.owner,
            "daemon": self._turn.in_daemon,
            "suspended": self._cycle.suspended,
            **followed_view(self._cycle.source_statuses, self._cycle.revisions),
            "host": host_view(observation.host) if observation else None,
            "observed_at": time_text(observation.taken_at) if observation else None,
            "last_cycle_at": time_text(report.finished_at) if report else None,
            "messages": list(
                dict.fromkeys(
                    filter(None, (fault, *(report.record.messages if report else ()), self._cycle.journal_fault))
                )
            ),
            "plan": plan_summary(report.plan, self._cycle.source_statuses) if report else None,
            "problems": [problem.to_dict() for problem in problems],
            "objects": [status_view(status, with_document=False) for status in self._cycle.status()],
        }

    def get(self, arguments: Arguments, _: str) -> Json:
        """Objects of a kind, all or those of a namespace or name."""
        kind = arguments.choice("kind", KINDS, "all")
        namespace, name = arguments.name("namespace"), arguments.name("name")
        with_document = arguments.flag("documents")
        arguments.finish()
        fault = self.look()
        found = [
            status
            for status in self._cycle.status()
            if status.key.kind in KINDS[kind]
            and (not namespace or status.key.namespace in ("", namespace))
            and (not name or status.key.name == name)
            and (kind != "vmi" or (status.live or {}).get("status", {}).get("phase") in ("Running", "Scheduled"))
        ]
        objects = [status_view(status, with_document=with_document) for status in found]
        return {"objects": objects, "messages": [fault] if fault else []}

    def plan(self, arguments: Arguments, _: str) -> Json:
        """What would be done now, and why: the host is observed, nothing is fetched or changed."""
        style = arguments.choice("style", ("text", "colour", "markdown"), "text")
        arguments.finish()
        self.apply_suspension()
        plan = self._seen(self._planned())
        text = render_markdown(plan) if style == "markdown" else render_text(plan, colour=style == "colour")
        return {**plan.to_dict(), "text": text}

    def names(self, arguments: Arguments, _: str) -> Json:
        """Names to choose from, as of the last look."""
        what = arguments.choice("what", NAMED, "vm")
        arguments.finish()
        return {"names": names(self._cycle, self._policy, what)}

    def reconcile(self, arguments: Arguments, user: str) -> Json:
        """Fetch, look at everything and do what is due, now."""
        arguments.finish()
        return self._turn.call(lambda: self._cycle_after(self._action("reconcile", user), everything=True))

    def approve(self, arguments: Arguments, user: str) -> Json:
        """Release a hold, once."""
        hold_id = arguments.word("hold_id")
        arguments.finish()

        def act() -> Json:
            self._refuse_unless_approvable(hold_id)
            action = self._action("approve", user, arguments={"hold_id": hold_id})
            report = self._turn.run(Wake(approvals=frozenset({hold_id}), operator=(action,)))
            return report_view(report)

        return self._turn.call(act)

    def suspend(self, arguments: Arguments, user: str) -> Json:
        """Halt reconciliation of a VM, or of everything; guests are not touched."""
        everything, duration_s, reason = arguments.flag("all"), arguments.seconds("for_s"), arguments.text("reason")
        until = self._clock.now() + timedelta(seconds=duration_s) if duration_s else None
        given = {"for_s": duration_s, "reason": reason}
        if everything:
            arguments.finish()

            def halt() -> Json:
                self._suspension.write(Suspended(by=user, at=self._clock.now(), reason=reason, until=until))
                return self._cycle_after(self._action("suspend", user, arguments={"all": True, **given}))

            return self._turn.call(halt)
        key = arguments.vm(self._policy.default_namespace)
        arguments.finish()
        said = f"by {user}{f': {reason}' if reason else ''}"
        action = self._action("suspend", user, key, given)
        return self._turn.call(lambda: self._marked(action, key, suspended=said, suspended_until=until))

    def resume(self, arguments: Arguments, user: str) -> Json:
        """Go on: a VM's suspension and power override end, or the suspension of everything."""
        if arguments.flag("all"):
            arguments.finish()

            def go_on() -> Json:
                self._suspension.clear()
                return self._cycle_after(self._action("resume", user, arguments={"all": True}), everything=True)

            return self._turn.call(go_on)
        key = arguments.vm(self._policy.default_namespace)
        arguments.finish()
        return self._turn.call(lambda: self._resumed(self._action("resume", user, key), key))

    def start(self, arguments: Arguments, user: str) -> Json:
        """Override: the VM runs, whatever its run strategy says."""
        return self._overridden(OverrideAction.START, arguments, user)

    def stop(self, arguments: Arguments, user: str) -> Json:
        """Override: the VM is shut down and stays off."""
        return self._overridden(OverrideAction.STOP, arguments, user)

    def pause(self, arguments: Arguments, user: str) -> Json:
        """Override: the VM's processors stand still."""
        return self._overridden(OverrideAction.PAUSE, arguments, user)

    def restart(self, arguments: Arguments, user: str) -> Json:
        """Shut the guest down and start it with its stored configuration."""
        key = arguments.vm(self._policy.default_namespace)
        arguments.finish()

        def act() -> Json:
            self._owned_vm(key)
            refuse_unless_running(self._engine.observe({key}).objects.get(key))
            action = self._action("restart", user, key)
            report = self._turn.run(Wake(keys=frozenset({key}), restarts=frozenset({key}), operator=(action,)))
            return self._with_object(report, key)

        return self._turn.call(act)

    def release(self, arguments: Arguments, user: str) -> Json:
        """Take gitvirt's marks off an object and leave it as it is."""
        key = arguments.object(self._policy.default_namespace)
        arguments.finish()

        def act() -> Json:
            refuse_fault(self._engine.release(key), f"release {key}")
            return self._cycle_after(self._action("release", user, key), keys={key})

        return self._turn.call(act)

    def trash_list(self, arguments: Arguments, _: str) -> Json:
        """What was deleted and can come back, newest first."""
        arguments.finish()
        items = sorted(self._engine.observe(None).trash, key=lambda item: (item.trashed_at, item.item), reverse=True)
        return {"items": [trash_view(item) for item in items if item.owner == self._policy.owner]}

    def trash_restore(self, arguments: Arguments, user: str) -> Json:
        """Put a trashed volume back under its name."""
        item = arguments.word("item")
        arguments.finish()

        def act() -> Json:
            key = self._trash_keys()[self._known_item(item)]
            self._refuse_unless_wanted(key)
            refuse_fault(self._engine.restore_trash(item), f"restore {item}")
            action = self._action("trash restore", user, key, {"item": item})
            return self._with_object(self._turn.run(Wake(keys=frozenset({key}), operator=(action,))), key)

        return self._turn.call(act)

    def trash_empty(self, arguments: Arguments, user: str) -> Json:
        """Destroy trash items for good: those named, or all."""
        items, everything = arguments.words("items"), arguments.flag("all")
        arguments.finish()
        if everything == bool(items):
            raise DaemonError("trash-empty: name the items, or say all; not both.")

        def act() -> Json:
            chosen = tuple(self._trash_keys()) if everything else tuple(self._known_item(item) for item in items)
            ended = {item: self._engine.empty_trash(item) for item in chosen}
            destroyed = [item for item, outcome in ended.items() if not outcome.is_fault]
            action = self._action("trash empty", user, arguments={"items": " ".join(destroyed)})
            self._turn.run(Wake(operator=(action,)))
            return {
                "emptied": destroyed,
                "failed": [{"item": i, "reason": o.reason} for i, o in ended.items() if o.is_fault],
            }

        return self._turn.call(act)

    def _action(
        self, verb: str, user: str, key: ObjectKey | None = None, arguments: Json | None = None
    ) -> OperatorAction:
        return OperatorAction(
            verb=verb, by=user, at=self._clock.now(), key=key, arguments=settled_mapping(arguments or {})
        )

    def _cycle_after(
        self, action: OperatorAction, *, everything: bool = False, keys: Collection[ObjectKey] = ()
    ) -> Json:
        self.apply_suspension()
        wake = Wake(fetch=everything, everything=everything, keys=frozenset(keys), operator=(action,))
        return report_view(self._turn.run(wake))

    def _with_object(self, report: CycleReport, key: ObjectKey) -> Json:
        found = [status_view(s, with_document=False) for s in self._cycle.status() if s.key == key]
        return {**report_view(report), "object": found[0] if found else None}

    def _overridden(self, power: OverrideAction, arguments: Arguments, user: str) -> Json:
        key = arguments.vm(self._policy.default_namespace)
        duration_s = arguments.seconds("for_s")
        arguments.finish()
        now = self._clock.now()
        until = now + timedelta(seconds=duration_s) if duration_s else None
        override = Override(action=power, by=user, at=now, until=until)
        action = self._action(str(power), user, key, {"for_s": duration_s})
        return self._turn.call(lambda: self._marked(action, key, override=override))

    def _marked(self, action: OperatorAction, key: ObjectKey, **facts: Any) -> Json:
        """Write operator's facts on a VM, those not named kept, and run the cycle that acts on them."""
        marks = replace(self._owned_vm(key), **facts)
        outcome = self._engine.mark(
            key, override=marks.override, suspended=marks.suspended, suspended_until=marks.suspended_until
        )
        refuse_fault(outcome, f"{action.verb} {key}")
        self.apply_suspension()
        return self._with_object(self._turn.run(Wake(keys=frozenset({key}), operator=(action,))), key)

    def _resumed(self, action: OperatorAction, key: ObjectKey) -> Json:
        """A pause is ended before it is forgotten: a paused guest without its mark would be somebody else's doing."""
        override = self._owned_vm(key).override
        is_pause = override is not None and override.action is OverrideAction.PAUSE
        ended = replace(override, until=self._clock.now()) if override is not None and is_pause else None
        view = self._marked(action, key, override=ended, suspended="", suspended_until=None)
        live = self._engine.observe({key}).objects.get(key)
        if ended is not None and isinstance(live, LiveVm) and live.power is not PowerState.PAUSED:
            self._engine.mark(key, override=None, suspended="", suspended_until=None)
        return view

    def _owned_vm(self, key: ObjectKey) -> Marks:
        live = self._engine.observe({key}).objects.get(key)
        if not isinstance(live, LiveVm):
            raise missing_vm(key, self._engine.observe(None).objects)
        if live.marks is None or live.marks.owner != self._policy.owner:
            raise DaemonError(
                f"VM {key.namespace}/{key.name} is not owned by {self._policy.owner!r}; it is not touched."
            )
        return live.marks

    def _refuse_unless_wanted(self, key: ObjectKey) -> None:
        """What Git does not want would go back to the trash in the cycle that follows."""
        fault = self.look()
        declared = any(status.key == key and status.declared for status in self._cycle.status())
        if not (declared or fault or self._cycle.suspended):
            raise DaemonError(
                f"{key} is not in the repository, so it would go back to the trash at once. Put its manifest back "
                "(it then takes this disk by itself), or `gitvirt suspend --all` first to look at the disk."
            )

    def _refuse_unless_approvable(self, hold_id: str) -> None:
        self.apply_suspension()
        if any(hold_id == status.approval for status in self._cycle.source_statuses.values()):
            return
        holds = self._planned().held
        found = [hold for hold in holds if hold.hold_id == hold_id]
        if not found:
            waiting = ", ".join(hold.hold_id for hold in holds if hold.approvable) or "none"
            raise DaemonError(f"no changes wait under {hold_id}; waiting for approval: {waiting}.")
        refuse_hold(found[0])

    def _planned(self) -> Plan:
        """What would be done now; rewritten histories that wait for a person are among the holds."""
        plan = self._cycle.plan_now()
        return replace(plan, held=(*source_holds(self._cycle.source_statuses), *plan.held))

    def _trash_keys(self) -> dict[str, ObjectKey]:
        owned = (item for item in self._engine.observe(None).trash if item.owner == self._policy.owner)
        return {item.item: item.key for item in owned}

    def _known_item(self, item: str) -> str:
        if item not in self._trash_keys():
            raise DaemonError(f"there is no trash item {item}; `gitvirt trash list` lists them.")
        return item


VERBS: Mapping[str, Callable[[Operations, Arguments, str], Json]] = {
    "status": Operations.status,
    "get": Operations.get,
    "plan": Operations.plan,
    "names": Operations.names,
    "reconcile": Operations.reconcile,
    "approve": Operations.approve,
    "suspend": Operations.suspend,
    "resume": Operations.resume,
    "start": Operations.start,
    "stop": Operations.stop,
    "pause": Operations.pause,
    "restart": Operations.restart,
    "release": Operations.release,
    "trash-list": Operations.trash_list,
    "trash-restore": Operations.trash_restore,
    "trash-empty": Operations.trash_empty,
}
"""Every verb of the control socket."""
