"""Everything declared → what this host should be: the first step of planning.

An object that is invalid or cannot be resolved is held at the document that was last applied to it, where there is one
(law 5); what depends on something missing is blocked and says by what; everything else proceeds. A `Resolver` is kept
from one cycle to the next and resolves again only what an update may have changed (law 10).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.model.declared import Declared
from reconciler.model.document import Document
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import HostFacts, LiveNetwork, LiveObject, LiveVolume, Observation
from reconciler.model.persistent import with_changes
from reconciler.model.policy import Policy
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import (
    DesiredState,
    Present,
    Resolved,
    ResolvedNetwork,
    ResolvedVm,
    ResolvedVolume,
    Waves,
)
from reconciler.planning.contests import Identities, lost_contests
from reconciler.planning.held import held_document, kept_seeds
from reconciler.planning.host_rules import promised_mib, require_room
from reconciler.planning.network_overlap import overlaps
from reconciler.planning.other_key import heeding_key
from reconciler.planning.placement import Placement
from reconciler.planning.reads import Reads, Recorded
from reconciler.planning.redact import Digest
from reconciler.planning.resolve_cluster import (
    network_of_cluster,
    resource_of_cluster,
    vm_of_cluster,
    volume_of_cluster,
)
from reconciler.planning.resolve_network import pod_network, resolve_network
from reconciler.planning.resolve_vm import References, VolumePlace, resolve_vm
from reconciler.planning.resolve_volume import CLAIM_KINDS, resolve_volume
from reconciler.planning.verdict import Verdict, overlapping, verdict_of

NETWORK_KIND = "NetworkAttachmentDefinition"
VM_KIND = "VirtualMachine"
CLASS_KIND = "StorageClass"


def resolve(declared: Declared, observation: Observation, *, policy: Policy, digest: Digest) -> DesiredState:
    """Join everything with everything, on the host that was observed."""
    return Resolver(policy, digest).update(declared, observation, None)


class Resolver:
    """One host's desired state. `update` brings it up to date; ``touched`` then are the objects of which anything may be
    another than before.
    """

    def __init__(self, policy: Policy, digest: Digest) -> None:
        self._policy, self._digest = policy, digest
        self._reads = Reads()
        self._placement = Placement(policy)
        self._identities = Identities()
        self._wanted: dict[ObjectKey, Document] = {}
        self._general: dict[str, set[ObjectKey]] = {kind: set() for kind in (NETWORK_KIND, CLASS_KIND, *CLAIM_KINDS)}
        self._on_live: set[ObjectKey] = set()
        self._stale: frozenset[ObjectKey] = frozenset()
        self._lost: Mapping[ObjectKey, str] = {}
        self._rejected: dict[ObjectKey, ResolvedVm] = {}
        self._why_rejected: Mapping[ObjectKey, str] = {}
        self._pod_users: set[ObjectKey] = set()
        self._networks_here: set[ObjectKey] = set()
        self._bridges: frozenset[str] = frozenset()
        self._declared = Declared(readings={})
        self._observed: Mapping[ObjectKey, LiveObject] = {}
        self._host = HostFacts(hostname="")
        self._state = DesiredState(readings={})
        self.touched: frozenset[ObjectKey] = frozenset()

    def update(
        self, declared: Declared, observation: Observation, changed: Collection[ObjectKey] | None
    ) -> DesiredState:
        """Desired state now. ``changed`` are the objects that are declared differently, or are different on the host, than
        they were at the last update; None means any.
        """
        if self._host.memory_mib != observation.host.memory_mib:
            changed = None
        self._declared, self._observed, self._host = declared, observation.objects, observation.host
        dirty = self._everything() if changed is None else set(changed)
        dirty |= self._on_live
        dirty |= self._newly_contested()
        shown = self._settle(dirty)
        dirty |= self._with_general_inputs(dirty, observation)
        for resolved, kinds in (
            (self._resolved_networks, (NETWORK_KIND,)),
            (self._resolved_volumes, CLAIM_KINDS),
            (self._resolved_vms, (VM_KIND,)),
        ):
            stale = self._reads.readers(shown)
            dirty |= {key for key in stale if key.kind in kinds}
            self._stale = frozenset(dirty if changed is None else shown | stale)
            verdicts = resolved([key for key in dirty if key.kind in kinds])
            shown |= {key for key, verdict in verdicts.items() if self._looks_new(key, verdict.thing)}
            self._take_in(verdicts)
        vms = {key for key in dirty if key.kind == VM_KIND}
        dirty |= self._reject_duplicate_identity(vms)
        self._finish(dirty)
        self.touched = frozenset(dirty)
        return self._state

    def _everything(self) -> set[ObjectKey]:
        """Whatever is known now, or was."""
        networks = (key for key, thing in self._observed.items() if isinstance(thing, LiveNetwork))
        known, state = self._declared, self._state
        return {*known.documents, *known.invalid, *self._wanted, *state.invalid, *state.not_here, *networks}

    def readers(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """What was resolved from any of these: VMs from their claims, networks and Secrets, for instance."""
        return self._reads.readers(keys)

    def _live(self, key: ObjectKey) -> LiveObject | None:
        """The live object, if it is ours."""
        live = self._observed.get(key)
        return live if live is not None and live.marks and live.marks.owner == self._policy.owner else None

    def _newly_contested(self) -> set[ObjectKey]:
        """Claimants that lose, or no longer lose, what they claim in their manifests."""
        before, self._lost = self._lost, lost_contests(self._declared.contests, lambda key: bool(self._live(key)))
        return {key for key, _ in before.items() ^ self._lost.items()}

    def _why_invalid(self, key: ObjectKey) -> str | None:
        return self._lost.get(key) or self._declared.invalid.get(key)

    def _is_valid(self, key: ObjectKey) -> bool:
        return key in self._declared.documents and self._why_invalid(key) is None

    def _settle(self, dirty: set[ObjectKey]) -> set[ObjectKey]:
        """Which document counts for each dirty object: its own, the last applied one, or none. Adds the claims whose place
        moved to ``dirty``; returns those whose document is another than before.
        """
        moved: set[ObjectKey] = set()
        for key in [key for key in dirty if key.kind == VM_KIND]:
            names = self._placement.put(key, self._declared.documents.get(key) if self._is_valid(key) else None)
            moved |= {ObjectKey(kind, *name) for name in names for kind in CLAIM_KINDS}
        dirty |= {key for key in moved if key in self._declared.documents}
        shown = set()
        for key in dirty:
            document = self._document(key)
            if document is not self._wanted.get(key):
                shown.add(key)
                self._keep(key, document)
        return shown

    def _document(self, key: ObjectKey) -> Document | None:
        """The document that counts; None for what is not declared here, or invalid and not live."""
        self._on_live.discard(key)
        if self._why_invalid(key) is not None:
            live = self._live(key)
            if live is not None:
                self._on_live.add(key)
            return held_document(key, live)
        return None if self._placement.why_not_here(key) else self._declared.documents.get(key)

    def _keep(self, key: ObjectKey, document: Document | None) -> None:
        of_kind = self._general.get(key.kind)
        if document is None:
            self._wanted.pop(key, None)
            if of_kind is not None:
                of_kind.discard(key)
            return
        self._wanted[key] = document
        if of_kind is not None:
            of_kind.add(key)

    def _with_general_inputs(self, dirty: set[ObjectKey], observation: Observation) -> set[ObjectKey]:
        """All networks when one of them or the host's bridges changed, all claims when a StorageClass did."""
        for key in dirty:
            if isinstance(self._live(key), LiveNetwork):
                self._networks_here.add(key)
            else:
                self._networks_here.discard(key)
        there = (self._live(key) for key in self._networks_here)
        own = {thing.network.bridge for thing in there if isinstance(thing, LiveNetwork) and thing.network}
        before, self._bridges = self._bridges, frozenset(observation.host.bridges) - own
        more: set[ObjectKey] = set()
        if before != self._bridges or any(key.kind == NETWORK_KIND for key in dirty):
            more |= self._general[NETWORK_KIND]
        if any(key.kind == CLASS_KIND for key in dirty):
            more |= {key for kind in CLAIM_KINDS for key in self._general[kind]}
        return more

    def _resolved_networks(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Verdict]:
        """All networks, if any: one more may overlap any other."""
        if not keys:
            return {}
        verdicts = {key: self._resolved_network(key) for key in keys}
        if self._policy.on_cluster:
            return verdicts
        made = {key: verdict.thing for key, verdict in verdicts.items() if verdict.thing is not None}
        there = [key for key in self._networks_here if self._live(key) is not None]
        for lost, reason in overlaps(made, self._policy.pod_network, there):
            verdicts[lost.key] = overlapping(lost, reason)
        return verdicts

    def _resolved_volumes(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Verdict]:
        return {key: self._resolved_volume(key) for key in keys}

    def _resolved_vms(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Verdict]:
        return {key: self._as_before(key) or self._resolved_vm(key) for key in keys}

    def _as_before(self, key: ObjectKey) -> Verdict | None:
        """A VM that only moved on the host: its document and nothing that it is made of is another."""
        vm = self._state.objects.get(key)
        if not isinstance(vm, ResolvedVm) or vm.of_another_key or key in self._stale:
            return None
        if vm.document is not self._wanted.get(key):  # held at what was applied last: that is judged each time
            return None
        return Verdict(thing=vm if self._policy.on_cluster else heeding_key(vm, self._live(key)))

    def _resolved_network(self, key: ObjectKey) -> Verdict:
        document = self._wanted.get(key)
        if document is None:
            return Verdict()
        policy, digest, bridges = self._policy, self._digest, self._bridges
        if policy.on_cluster:
            return Verdict(thing=network_of_cluster(document, digest))
        return verdict_of(lambda: resolve_network(document, policy=policy, digest=digest, host_bridges=bridges))

    def _resolved_volume(self, key: ObjectKey) -> Verdict:
        document = self._wanted.get(key)
        read: set[ObjectKey] = set()
        if document is None:
            self._reads.note(key, read)
            return Verdict()
        live = self._live(key)
        if self._policy.on_cluster:
            return Verdict(thing=volume_of_cluster(document, self._digest, self._declared.template_owners.get(key)))
        verdict = verdict_of(
            lambda: resolve_volume(
                document,
                policy=self._policy,
                digest=self._digest,
                classes={one.name: self._wanted[one] for one in self._general[CLASS_KIND]},
                documents=Recorded(self._wanted.get, read),
                live=live if isinstance(live, LiveVolume) else None,
                owner_vm=self._declared.template_owners.get(key),
            )
        )
        self._reads.note(key, read)
        return verdict

    def _resolved_vm(self, key: ObjectKey) -> Verdict:
        """A VM; one that lacks something is held at its last applied document, if it has one."""
        document = self._wanted.get(key)
        if document is None:
            self._reads.note(key, ())
            return Verdict()
        verdict = Verdict()
        if key not in self._on_live:
            read: set[ObjectKey] = set()
            references = References(
                documents=Recorded(self._wanted.get, read),
                volumes=Recorded(self._place, read),
                networks=Recorded(self._network, read),
            )
            verdict = verdict_of(lambda: self._fitting(document, references))
            self._reads.note(key, read)
            if verdict.thing is not None:
                return verdict
        live = self._live(key)
        last = held_document(key, live)
        if last is None:
            return verdict
        self._on_live.add(key)
        on_host = References(
            documents=self._wanted,
            volumes=Recorded(self._place_on_host, set()),
            networks=Recorded(self._network_on_host, set()),
            kept_seeds=kept_seeds(live),
        )
        held = verdict_of(lambda: resolve_vm(last, on_host, policy=self._policy, digest=self._digest))
        return replace(
            held,
            invalid=verdict.invalid or held.invalid,
            problem=verdict.problem or held.problem,
            blocked=verdict.blocked or held.blocked,
        )

    def _fitting(self, document: Document, references: References) -> ResolvedVm:
        """A VM that this host has room for, or a cluster takes care of."""
        if self._policy.on_cluster:
            return vm_of_cluster(document, references, policy=self._policy, digest=self._digest)
        vm = resolve_vm(document, references, policy=self._policy, digest=self._digest)
        require_room(vm, self._host)
        return heeding_key(vm, self._live(document.key))

    def _place(self, key: ObjectKey) -> VolumePlace | None:
        thing = self._state.objects.get(key)
        return VolumePlace.of(thing, self._policy.owner) if isinstance(thing, ResolvedVolume) else None

    def _network(self, key: ObjectKey) -> Resolved | None:
        thing = self._state.objects.get(key)
        return thing if isinstance(thing, ResolvedNetwork) else None

    def _place_on_host(self, key: ObjectKey) -> VolumePlace | None:
        """What a VM that is held may stand on as well: a volume that is there, though Git dropped it."""
        live = self._live(key)
        there = VolumePlace.of(live, self._policy.owner) if isinstance(live, LiveVolume) else None
        return self._place(key) or there

    def _network_on_host(self, key: ObjectKey) -> Resolved | LiveObject | None:
        live = self._live(key)
        return self._network(key) or (live if isinstance(live, LiveNetwork) else None)

    def _looks_new(self, key: ObjectKey, thing: Resolved | None) -> bool:
        """Whether VMs see another network or claim than before."""
        before = self._state.objects.get(key)
        if isinstance(thing, ResolvedVolume) and isinstance(before, ResolvedVolume):
            return VolumePlace.of(thing, "") != VolumePlace.of(before, "")
        return (thing is None) != (before is None)

    def _take_in(self, verdicts: Mapping[ObjectKey, Verdict]) -> None:
        """Enter what objects came to; VMs of which a duplicate identity was rejected come back for a new judgement."""
        if not verdicts:
            return
        before, state = self._state.objects, self._state
        claims: dict[tuple[str, str], int] = {}
        promised = 0
        for key, verdict in verdicts.items():
            rejected = self._rejected.pop(key, None)
            old, new = rejected or before.get(key), verdict.thing
            if key.kind == VM_KIND:
                vms = [vm if isinstance(vm, ResolvedVm) else None for vm in (old, new)]
                self._note_vm(key, vms[0], vms[1], claims)
                promised += sum(step * promised_mib(vm) for vm, step in zip(vms, (-1, 1), strict=True) if vm)
        in_use = {name: state.claims_in_use.get(name, 0) + count for name, count in claims.items()}
        self._state = replace(
            state,
            objects=with_changes(state.objects, {key: verdict.thing for key, verdict in verdicts.items()}),
            invalid=with_changes(
                state.invalid, {key: self._why_invalid(key) or verdict.invalid for key, verdict in verdicts.items()}
            ),
            blocked=with_changes(state.blocked, {key: verdict.blocked for key, verdict in verdicts.items()}),
            trouble=with_changes(state.trouble, {key: verdict.problem for key, verdict in verdicts.items()}),
            claims_in_use=with_changes(state.claims_in_use, {name: count or None for name, count in in_use.items()}),
            promised_memory_mib=state.promised_memory_mib + promised,
        )

    def _note_vm(
        self, key: ObjectKey, old: ResolvedVm | None, new: ResolvedVm | None, claims: dict[tuple[str, str], int]
    ) -> None:
        self._identities.replace(key, old, new)
        if new is not None and POD_NETWORK in new.networks:
            self._pod_users.add(key)
        else:
            self._pod_users.discard(key)
        for vm, step in ((old, -1), (new, 1)):
            for claim in vm.claims if vm is not None else ():
                name = (claim.namespace, claim.name)
                claims[name] = claims.get(name, 0) + step

    def _reject_duplicate_identity(self, judged: set[ObjectKey]) -> set[ObjectKey]:
        """Law 9: a collision of MACs or UUIDs, derived ones included, is a fault of all claimants but the one that has it.
        Returns the VMs whose case is another than before.
        """
        contests = self._identities.contests()
        code_of = {key: contest.code for contest in reversed(contests) for key in contest.claimants}
        before, self._why_rejected = self._why_rejected, lost_contests(contests, lambda key: bool(self._live(key)))
        again = {key for key, _ in before.items() ^ self._why_rejected.items()} | (judged & set(self._why_rejected))
        if not again:
            return again
        objects: dict[ObjectKey, Resolved | None] = {}
        invalid: dict[ObjectKey, str | None] = {}
        trouble: dict[ObjectKey, Problem | None] = {}
        for key in again:
            reason = self._why_rejected.get(key)
            vm = self._rejected.get(key) or self._state.objects.get(key)
            if not isinstance(vm, ResolvedVm):
                continue
            if reason is None:
                if self._rejected.pop(key, None) is not None:
                    objects[key] = vm
                    invalid[key], trouble[key] = self._why_invalid(key), None
                continue
            self._rejected[key] = vm
            objects[key] = None
            if self._why_invalid(key) is None and vm.document is not None:
                hint = "set one of them yourself, or rename the VM or the interface"
                invalid[key] = reason
                trouble[key] = problem(code_of[key], vm.document.place(), reason, object=key, hint=hint)
        self._state = replace(
            self._state,
            objects=with_changes(self._state.objects, objects),
            invalid=with_changes(self._state.invalid, invalid),
            trouble=with_changes(self._state.trouble, trouble),
        )
        return again

    def _resource(self, key: ObjectKey) -> Resolved | None:
        """Any other object, where a platform serves it."""
        document = self._wanted.get(key)
        return resource_of_cluster(document, self._digest) if document is not None else None

    def _finish(self, dirty: set[ObjectKey]) -> None:
        """What is left: kinds that are not resolved, where objects belong, and the pod network while a VM uses it."""
        state, declared = self._state, self._declared
        others = {key for key in dirty if key.kind not in (NETWORK_KIND, VM_KIND, *CLAIM_KINDS)} - {POD_NETWORK}
        uses_pod = bool(self._pod_users) and not self._policy.on_cluster
        if uses_pod != (POD_NETWORK in state.objects):
            dirty.add(POD_NETWORK)
        pod = pod_network(self._policy) if uses_pod else None
        resources = {key: self._resource(key) for key in others} if self._policy.on_cluster else {}
        self._state = replace(
            state,
            readings=declared.readings,
            objects=with_changes(state.objects, {**resources, **({POD_NETWORK: pod} if POD_NETWORK in dirty else {})}),
            present=Present(declared, frozenset({POD_NETWORK} if uses_pod else ())),
            waves=Waves(declared),
            invalid=with_changes(state.invalid, {key: self._why_invalid(key) for key in others}),
            not_here=with_changes(
                state.not_here,
                {
                    key: self._placement.why_not_here(key) or None if self._is_valid(key) else None
                    for key in dirty
                    if key.kind in (VM_KIND, *CLAIM_KINDS)
                },
            ),
        )
