"""What people can ask for: one method a verb, with plain data as answer.

Used by the daemon for its control socket, and by commands themselves where no daemon runs. Whatever acts runs in a
`Turn`, between two cycles, and is recorded as an `OperatorAction` of the cycle that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.daemon.arguments import KINDS, Arguments
from reconciler.daemon.clock import moment
from reconciler.daemon.names import NAMED, names
from reconciler.daemon.operations_adopt import AdoptVerbs
from reconciler.daemon.operations_frame import Json, Turn
from reconciler.daemon.operations_trash import TrashVerbs
from reconciler.daemon.refusals import (
    missing_vm,
    refuse_fault,
    refuse_held_restart,
    refuse_hold,
    refuse_unless_running,
    stale_approval,
)
from reconciler.daemon.suspension import Suspended
from reconciler.daemon.views import (
    followed_view,
    host_view,
    outdated_view,
    plan_summary,
    report_view,
    source_holds,
    status_view,
    time_text,
    trash_summary,
    with_outdated,
)
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, Marks
from reconciler.model.plan import Plan
from reconciler.model.power import Override, OverrideAction, PowerState
from reconciler.model.record import OperatorAction
from reconciler.planning.render import render_markdown, render_text

__all__ = ["VERBS", "Operations", "Turn"]


class Operations(TrashVerbs, AdoptVerbs):
    """The verbs. ``VERBS`` maps the name of each to its method."""

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
                    filter(None, (fault, *(report.record.messages if report else ()), *self._cycle.journal_standing))
                )
            ),
            "plan": plan_summary(report.plan, self._cycle.source_statuses) if report else None,
            "trash": trash_summary(self._trash_rows(observation)) if observation else None,
            "problems": [problem.to_dict() for problem in problems],
            "objects": [status_view(status, with_document=False) for status in self._told(fault)],
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
            for status in self._told(fault)
            if (kind == "all" or status.key.kind in KINDS[kind])
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
        outdated = self._engine.outdated()
        plan, said = self._seen(self._planned()), str(outdated or "")
        is_markdown = style == "markdown"
        text = render_markdown(plan, said) if is_markdown else render_text(plan, said, colour=style == "colour")
        return {**plan.to_dict(), "outdated": outdated_view(outdated), "text": text}

    def names(self, arguments: Arguments, _: str) -> Json:
        """Names to choose from, as of the last look."""
        what = arguments.choice("what", NAMED, "vm")
        arguments.finish()
        return {"names": names(self._cycle, self._policy, what)}

    def reconcile(self, arguments: Arguments, user: str) -> Json:
        """Fetch, look at everything and do what is due, now."""
        arguments.finish()
        outdated = self._engine.outdated()
        view = self._turn.call(lambda: self._cycle_after(self._action("reconcile", user), everything=True))
        return with_outdated(view, outdated)

    def apply(self, arguments: Arguments, user: str) -> Json:
        """Carry out the plan that a person has read, and no other. The remotes are looked at first: a plan of an older revision is stale."""
        plan_id = arguments.word("plan_id")
        arguments.finish()

        def act() -> Json:
            self.apply_suspension()
            action = self._action("apply", user, arguments={"plan_id": plan_id})
            return report_view(self._turn.run(Wake(fetch=True, everything=True, plan_id=plan_id, operator=(action,))))

        outdated = self._engine.outdated()
        return with_outdated(self._turn.call(act), outdated)

    def approve(self, arguments: Arguments, user: str) -> Json:
        """Release a hold, once."""
        hold_id = arguments.word("hold_id")
        arguments.finish()

        def act() -> Json:
            self._refuse_unless_approvable(hold_id)
            rewrites = [hold for hold in source_holds(self._cycle.source_statuses) if hold.hold_id == hold_id]
            action = self._action("approve", user, arguments={"hold_id": hold_id})
            report = self._turn.run(Wake(approvals=frozenset({hold_id}), operator=(action,)))
            for rewrite in rewrites:
                if rewrite not in source_holds(self._cycle.source_statuses):
                    self._cycle.holds.let_go(rewrite)
            found = self._cycle.holds.find(hold_id)
            if found is not None and not found[1]:
                raise stale_approval(hold_id, found, report.plan.held if report.plan else ())
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
                self._suspension.write(
                    Suspended(by=user, at=self._clock.now(), reason=reason, until=until), moment(self._clock)
                )
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
            refuse_held_restart(key, report.record.applied, report.plan)
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
        """What the act left is undone before it is forgotten: a paused guest without its mark would be somebody else's doing, and so
        would, on a platform, the run strategy that a stop or start wrote.
        """
        override = self._owned_vm(key).override
        is_pause = override is not None and override.action is OverrideAction.PAUSE
        is_undone = is_pause or self._engine.is_platform
        ended = replace(override, until=self._clock.now()) if override is not None and is_undone else None
        view = self._marked(action, key, override=ended, suspended="", suspended_until=None)
        live = self._engine.observe({key}).objects.get(key)
        if is_pause and isinstance(live, LiveVm) and live.power is not PowerState.PAUSED:
            self._engine.mark(key, override=None, suspended="", suspended_until=None)
        return view

    def _owned_vm(self, key: ObjectKey) -> Marks:
        live = self._engine.observe({key}).objects.get(key)
        if not isinstance(live, LiveVm):
            raise missing_vm(key, self._engine.observe(None).objects, self._cycle.status(), self._policy.place)
        if live.marks is None or live.marks.owner != self._policy.owner:
            raise DaemonError(
                f"VM {key.namespace}/{key.name} is not owned by {self._policy.owner!r}; it is not touched."
            )
        return live.marks

    def _refuse_unless_approvable(self, hold_id: str) -> None:
        self.apply_suspension()
        if any(hold_id == status.approval for status in self._cycle.source_statuses.values()):
            return
        holds = self._planned().held
        found = [hold for hold in holds if hold.hold_id == hold_id]
        if not found:
            raise stale_approval(hold_id, self._cycle.holds.find(hold_id), holds)
        refuse_hold(found[0])

    def _planned(self) -> Plan:
        """What would be done now; rewritten histories that wait for a person are among the holds."""
        plan = self._plan_now()
        return replace(plan, held=(*source_holds(self._cycle.source_statuses), *plan.held))


VERBS: Mapping[str, Callable[[Operations, Arguments, str], Json]] = {
    "status": Operations.status,
    "get": Operations.get,
    "plan": Operations.plan,
    "names": Operations.names,
    "reconcile": Operations.reconcile,
    "apply": Operations.apply,
    "approve": Operations.approve,
    "suspend": Operations.suspend,
    "resume": Operations.resume,
    "start": Operations.start,
    "stop": Operations.stop,
    "pause": Operations.pause,
    "restart": Operations.restart,
    "adopt": Operations.adopt,
    "release": Operations.release,
    "trash-list": Operations.trash_list,
    "trash-restore": Operations.trash_restore,
    "trash-empty": Operations.trash_empty,
}
"""Every verb of the control socket."""
