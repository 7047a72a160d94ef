"""Law 9: two VMs with one MAC or UUID, derived ones included, are a fault of all of them but the one that has it already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.model.keys import ObjectKey
from reconciler.model.persistent import with_changes
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm
from reconciler.planning.contests import Identities, lost_contests
from reconciler.planning.inputs import Inputs

_HINT = "set one of them yourself, or rename the VM or the interface"


class Duplicates:
    """VMs that were rejected because another one has what they are known by. Kept from one update to the next."""

    def __init__(self) -> None:
        self._identities = Identities()
        self._rejected: dict[ObjectKey, ResolvedVm] = {}
        self._reasons: Mapping[ObjectKey, str] = {}

    def take_back(self, key: ObjectKey) -> ResolvedVm | None:
        """A rejected VM, for a new judgement; None for any other."""
        return self._rejected.pop(key, None)

    def replace(self, key: ObjectKey, before: ResolvedVm | None, after: ResolvedVm | None) -> None:
        """A VM changed, came or went."""
        self._identities.replace(key, before, after)

    def judge(
        self, state: DesiredState, resolved: set[ObjectKey], inputs: Inputs
    ) -> tuple[DesiredState, set[ObjectKey]]:
        """The state without the VMs that are rejected now, of which ``resolved`` were resolved anew; and the VMs whose case is
        another than before.
        """
        contests = self._identities.contests()
        code_of = {key: contest.code for contest in reversed(contests) for key in contest.claimants}
        before, self._reasons = self._reasons, lost_contests(contests, lambda key: bool(inputs.live(key)))
        again = {key for key, _ in before.items() ^ self._reasons.items()} | (resolved & set(self._reasons))
        if not again:
            return state, again
        objects: dict[ObjectKey, Resolved | None] = {}
        invalid: dict[ObjectKey, str | None] = {}
        trouble: dict[ObjectKey, Problem | None] = {}
        for key in again:
            reason = self._reasons.get(key)
            vm = self._rejected.get(key) or state.objects.get(key)
            if not isinstance(vm, ResolvedVm):
                continue
            if reason is None:
                if self._rejected.pop(key, None) is not None:
                    objects[key] = vm
                    invalid[key], trouble[key] = inputs.why_invalid(key), None
                continue
            self._rejected[key] = vm
            objects[key] = None
            if inputs.why_invalid(key) is None and vm.document is not None:
                invalid[key] = reason
                trouble[key] = problem(code_of[key], vm.document.place(), reason, object=key, hint=_HINT)
        judged = replace(
            state,
            objects=with_changes(state.objects, objects),
            invalid=with_changes(state.invalid, invalid),
            trouble=with_changes(state.trouble, trouble),
        )
        return judged, again
