"""The desired state as it is put together: what objects came to is entered, and what follows from that is counted with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.persistent import with_changes
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState, Present, Resolved, ResolvedVm, Waves
from reconciler.planning.duplicates import Duplicates
from reconciler.planning.host_rules import promised_mib
from reconciler.planning.inputs import Inputs
from reconciler.planning.resolve_network import pod_network
from reconciler.planning.verdict import Verdict


class Desired:
    """One host's desired state, kept from one update to the next. ``state`` is another value after each call that changes it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._duplicates = Duplicates()
        self._pod_users: set[ObjectKey] = set()
        self.state = DesiredState(readings={})

    def enter(self, verdicts: Mapping[ObjectKey, Verdict], inputs: Inputs) -> None:
        """Enter what objects came to; VMs of which a duplicate identity was rejected come back for a new judgement."""
        if not verdicts:
            return
        before, state = self.state.objects, self.state
        claims: dict[tuple[str, str], int] = {}
        promised = 0
        for key, verdict in verdicts.items():
            old, new = self._duplicates.take_back(key) or before.get(key), verdict.thing
            if isinstance(old, ResolvedVm) or isinstance(new, ResolvedVm):
                vms = [vm if isinstance(vm, ResolvedVm) else None for vm in (old, new)]
                self._note_vm(key, vms[0], vms[1], claims)
                promised += sum(step * promised_mib(vm) for vm, step in zip(vms, (-1, 1), strict=True) if vm)
        in_use = {name: state.claims_in_use.get(name, 0) + count for name, count in claims.items()}
        self.state = replace(
            state,
            objects=with_changes(state.objects, {key: verdict.thing for key, verdict in verdicts.items()}),
            invalid=with_changes(
                state.invalid, {key: inputs.why_invalid(key) or verdict.invalid for key, verdict in verdicts.items()}
            ),
            blocked=with_changes(state.blocked, {key: verdict.blocked for key, verdict in verdicts.items()}),
            trouble=with_changes(state.trouble, {key: verdict.problem for key, verdict in verdicts.items()}),
            claims_in_use=with_changes(state.claims_in_use, {name: count or None for name, count in in_use.items()}),
            promised_memory_mib=state.promised_memory_mib + promised,
        )

    def reject_duplicates(self, resolved: set[ObjectKey], inputs: Inputs) -> set[ObjectKey]:
        """Take VMs out that have what another one is known by, and those in again that have it no longer; ``resolved`` are the
        VMs that were entered since. Returns those whose case is another than before.
        """
        self.state, again = self._duplicates.judge(self.state, resolved, inputs)
        return again

    def enter_rest(
        self,
        dirty: set[ObjectKey],
        inputs: Inputs,
        *,
        resources: Mapping[ObjectKey, Resolved | None],
        invalid: Mapping[ObjectKey, str | None],
        not_here: Mapping[ObjectKey, str | None],
    ) -> None:
        """What has no verdict: other kinds (``resources``, ``invalid``), what is meant for other hosts, and the pod network while a
        VM uses it, which is added to ``dirty`` when that changed.
        """
        state, declared = self.state, inputs.declared
        uses_pod = bool(self._pod_users) and not self._policy.on_cluster
        if uses_pod != (POD_NETWORK in state.objects):
            dirty.add(POD_NETWORK)
        pod = pod_network(self._policy) if uses_pod else None
        objects = {**resources, **({POD_NETWORK: pod} if POD_NETWORK in dirty else {})}
        self.state = replace(
            state,
            readings=declared.readings,
            objects=with_changes(state.objects, objects),
            present=Present(declared, frozenset({POD_NETWORK} if uses_pod else ())),
            waves=Waves(declared),
            invalid=with_changes(state.invalid, invalid),
            not_here=with_changes(state.not_here, not_here),
        )

    def _note_vm(
        self, key: ObjectKey, old: ResolvedVm | None, new: ResolvedVm | None, claims: dict[tuple[str, str], int]
    ) -> None:
        self._duplicates.replace(key, old, new)
        if new is not None and POD_NETWORK in new.networks:
            self._pod_users.add(key)
        else:
            self._pod_users.discard(key)
        for vm, step in ((old, -1), (new, 1)):
            for claim in vm.claims if vm is not None else ():
                name = (claim.namespace, claim.name)
                claims[name] = claims.get(name, 0) + step
