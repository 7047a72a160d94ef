"""The verb ``adopt``: an existing domain becomes gitvirt's, when it is what its manifest says or a person has seen where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.daemon.arguments import ADOPTED_KINDS, KINDS, Arguments
from reconciler.daemon.exporting import kept_line, not_there, qualified
from reconciler.daemon.operations_frame import Frame, Json
from reconciler.daemon.refusals import refuse_fault
from reconciler.model.adoption import ADOPT, Takeover
from reconciler.model.declared import reading_of
from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVolume, Observation
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm
from reconciler.planning.adoption import Findings, findings, match, with_kept
from reconciler.planning.adoption_objects import object_findings
from reconciler.planning.proposal import BY_THEMSELVES, adopt_command

VM = "VirtualMachine"


class AdoptVerbs(Frame):
    """``adopt``."""

    def adopt(self, arguments: Arguments, user: str) -> Json:
        """Take an existing domain over. ``domain`` is its name, or that of its VM; ``accept`` names the differences that
        the caller was shown.
        """
        kind = arguments.choice("kind", ADOPTED_KINDS, "vm")
        name, namespace, accepted = arguments.text("domain"), arguments.name("namespace"), arguments.text("accept")
        arguments.finish()
        if not name:
            raise DaemonError("adopt: domain is missing.")
        if kind != "vm":
            inside, _, last = name.rpartition("/")
            key = ObjectKey(KINDS[kind][0], inside or namespace or self._policy.default_namespace, last)
            return self._turn.call(lambda: self._adopt_object(key, accepted, user))
        return self._turn.call(lambda: self._adopt(name, namespace, accepted, user))

    def _adopt(self, name: str, namespace: str, accepted: str, user: str) -> Json:
        desired, observation = self._known_now()
        wanted = _wanted(desired, name, namespace, by_own_name=self._engine.is_platform)
        self._refuse_owned(wanted, observation.objects.get(wanted.key))
        self._refuse_switching_to_enforce(observation.foreign_vms, observation.objects)
        existing = wanted.adopt or (wanted.key.name if self._engine.is_platform else wanted.domain.name)
        found = self._engine.survey(qualified(self._engine, existing, wanted.key.namespace))
        if found is None:
            raise DaemonError(f"{wanted.key} says that it is {existing}: {not_there(self._engine, existing)}")
        owned = [key for key, live in observation.objects.items() if self._is_ours(live)]
        matching = match(wanted, desired.objects, found, owned)
        live = self._engine.as_adopted(matching.adoption)
        if live is None:
            raise DaemonError(f"{found.name} went away while it was read.")
        between = findings(wanted, matching, found, live, self._engine.compare, self._clock.now())
        view = _view(wanted, found.name, between, accepted)
        if not view["adopted"]:
            return view
        adoption = with_kept(matching.adoption, between.kept)
        again = self._engine.as_adopted(adoption)
        takeover = Takeover(
            adoption=adoption,
            wanted=wanted,
            claims=matching.claims,
            revision=reading_of(desired.readings, wanted.document.origin).revision,
            expected=again.fingerprint if again is not None else "",
        )
        outcome = self._engine.adopt(takeover)
        refuse_fault(outcome, f"adopt {found.name}")
        facts = {"domain": found.name, "accepted": accepted if between.differences else "", "kept": len(between.kept)}
        action = self._action("adopt", user, wanted.key, facts)
        report = self._cycle_after(action, keys={wanted.key, *(claim.key for claim in matching.claims)})
        return {**view, "report": report}

    def _adopt_object(self, key: ObjectKey, accepted: str, user: str) -> Json:
        """A claim, DataVolume or network by itself; `_adopt` takes those that a VM stands on with it."""
        if not self._engine.is_platform:
            raise DaemonError(
                f"on a host a disk is adopted together with the VM that stands on it, and a network is used where it is: say {ADOPT}: VOLUME on the claim of "
                f"{key.name}, then `gitvirt adopt DOMAIN`."
            )
        desired, observation = self._known_now()
        wanted = _wanted_object(desired, key)
        self._refuse_owned(wanted, observation.objects.get(key))
        self._refuse_switching_to_enforce(observation.foreign_vms, observation.objects)
        found = self._engine.survey_object(key)
        known = observation.objects.get(key)
        if found is None and isinstance(known, LiveVolume) and _is_lost(known):
            raise DaemonError(f"{key} is lost: {known.reason}.")
        if found is None:
            raise DaemonError(
                f"there is no {key} {self._policy.place}; gitvirt makes it from its manifest, there is nothing to adopt."
            )
        between = object_findings(wanted, found, self._engine.compare)
        view = _view(wanted, str(found.key), between, accepted)
        if not view["adopted"]:
            return view
        revision = reading_of(desired.readings, wanted.document.origin).revision if wanted.document is not None else ""
        outcome = self._engine.adopt_object(wanted, revision, found.live.fingerprint if found.live is not None else "")
        refuse_fault(outcome, f"adopt {found.key}")
        facts = {"object": str(found.key), "accepted": accepted if between.differences else ""}
        report = self._cycle_after(self._action("adopt", user, key, facts), keys={key, found.key})
        return {**view, "report": report}

    def _known_now(self) -> tuple[DesiredState, Observation]:
        """What is wanted and what there is, looked at now."""
        self.apply_suspension()
        self._cycle.plan_now()
        desired, observation = self._cycle.desired, self._cycle.observation
        if desired is None or observation is None:
            raise DaemonError("the repository or the host could not be read; `gitvirt status` says why.")
        return desired, observation

    def _is_ours(self, live: LiveObject) -> bool:
        return live.marks is not None and live.marks.owner == self._policy.owner

    def _refuse_owned(self, wanted: Resolved, live: LiveObject | None) -> None:
        if live is not None and self._is_ours(live) and not _is_lost(live):
            raise DaemonError(f"{wanted.key} is {self._policy.place} and gitvirt's already; there is nothing to adopt.")

    def _refuse_switching_to_enforce(self, foreign: tuple[str, ...], objects: Mapping[ObjectKey, LiveObject]) -> None:
        """Without `mode`, the first owned object would make gitvirt enforce the whole repository."""
        only_reports = self._policy.mode is None and foreign and not any(map(self._is_ours, objects.values()))
        if only_reports:
            raise DaemonError(
                "`mode` is not set, so gitvirt only reports where there are other people's VMs, and would enforce the whole "
                "repository once it owns one. Say in the settings which you want, `mode: enforce` or `mode: report`, "
                "then adopt."
            )


def _wanted(desired: DesiredState, name: str, namespace: str, *, by_own_name: bool) -> ResolvedVm:
    """The VM of the repository that is the existing one. ``by_own_name``: on a platform it has the name of its manifest.

    Raises:
        DaemonError: none is, several are, or it is not valid.
    """
    inside, _, last = name.rpartition("/")
    inside = inside or namespace
    vms = [thing for thing in desired.objects.values() if isinstance(thing, ResolvedVm)]
    fitting = [
        vm
        for vm in vms
        if inside in ("", vm.key.namespace)
        and (last in (vm.adopt, vm.domain.name) or (vm.key.name == last and (inside or by_own_name)))
    ]
    if len(fitting) > 1:
        raise DaemonError(
            f"{', '.join(str(vm.key) for vm in fitting)} all say that they are {last}; leave it to one of them."
        )
    if fitting:
        return fitting[0]
    faults = {**desired.invalid, **{key: reason for key, (reason, _) in desired.blocked.items()}}
    near = [
        f"{key}: {reason}"
        for key, reason in sorted(faults.items())
        if key.kind == VM and key.name in (last, last.lower())
    ]
    if near:
        raise DaemonError(f"its manifest cannot be used yet: {near[0]}")
    others = [adopt_command(key) for key in desired.objects if key.kind in BY_THEMSELVES and key.name == last]
    if by_own_name and others:
        raise DaemonError(f"no manifest declares a VM {last}; for what has that name: {', '.join(others)}.")
    raise DaemonError(
        f"no manifest of the accepted revision says gitvirt.io/adopt: {last}. `gitvirt export {last}` writes one; commit it "
        "to the repository, then adopt."
    )


def _is_lost(live: LiveObject) -> bool:
    """Whether a disk of gitvirt's is gone: what has its name by now may be taken over in its place."""
    return isinstance(live, LiveVolume) and live.phase == LOST


def _wanted_object(desired: DesiredState, key: ObjectKey) -> Resolved:
    """The object of the repository.

    Raises:
        DaemonError: none is declared, or it is not valid.
    """
    wanted = desired.objects.get(key)
    if wanted is not None:
        return wanted
    blocked = desired.blocked.get(key)
    reason = desired.invalid.get(key) or (blocked[0] if blocked is not None else "")
    if reason:
        raise DaemonError(f"its manifest cannot be used yet: {key}: {reason}")
    raise DaemonError(f"no manifest of the accepted revision declares {key}; commit one, then adopt.")


def _view(wanted: Resolved, found: str, between: Findings, accepted: str) -> dict[str, Any]:
    """What a person is shown; ``adopted`` says whether nothing is in the way of it, or was seen."""
    is_other = between.differences != () and accepted != between.digest
    return {
        "adopted": not between.obstacles and not is_other,
        "accept_mismatch": bool(accepted) and accepted != between.digest,
        "object": str(wanted.key),
        "domain": found,
        "kept": [kept_line(difference) for difference in between.kept],
        "differences": [difference.to_dict() for difference in between.differences],
        "obstacles": list(between.obstacles),
        "accept": between.digest,
    }
