"""Everything declared → what this host should be: the first step of planning.

An object that is invalid or cannot be resolved is held at the document that was last applied to it, where there is one
(law 5); what depends on something missing is blocked and says by what; everything else proceeds. A `Resolver` is kept
from one cycle to the next and resolves again only what an update may have changed (law 10).
"""

from __future__ import annotations

from collections.abc import Collection

from reconciler.model.declared import Declared
from reconciler.model.document import Document
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import LiveNetwork, Observation
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.desired import Desired
from reconciler.planning.held import held_document
from reconciler.planning.inputs import Inputs
from reconciler.planning.network_overlap import overlaps
from reconciler.planning.other_key import heeding_key
from reconciler.planning.placement import Placement
from reconciler.planning.reads import Reads
from reconciler.planning.redact import Digest
from reconciler.planning.resolve_object import ObjectResolver
from reconciler.planning.resolve_vm import VolumePlace
from reconciler.planning.resolve_volume import CLAIM_KINDS
from reconciler.planning.verdict import Verdict, overlapping

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
        self._wanted: dict[ObjectKey, Document] = {}
        self._general: dict[str, set[ObjectKey]] = {kind: set() for kind in (NETWORK_KIND, CLASS_KIND, *CLAIM_KINDS)}
        self._on_live: set[ObjectKey] = set()
        self._stale: frozenset[ObjectKey] = frozenset()
        self._networks_here: set[ObjectKey] = set()
        self._bridges: frozenset[str] = frozenset()
        self._inputs = Inputs.none()
        self._desired = Desired(policy)
        self.touched: frozenset[ObjectKey] = frozenset()

    @property
    def _state(self) -> DesiredState:
        return self._desired.state

    def update(
        self, declared: Declared, observation: Observation, changed: Collection[ObjectKey] | None
    ) -> DesiredState:
        """Desired state now. ``changed`` are the objects that are declared differently, or are different on the host, than
        they were at the last update; None means any.
        """
        before, self._inputs = self._inputs, Inputs.of(declared, observation, self._policy.owner)
        if before.host.memory_mib != observation.host.memory_mib:
            changed = None
        dirty = self._everything() if changed is None else set(changed)
        dirty |= self._on_live
        dirty |= {key for key, _ in before.lost.items() ^ self._inputs.lost.items()}
        shown = self._settle(dirty)
        dirty |= self._with_general_inputs(dirty)
        resolver = self._object_resolver()
        for verdicts_of, kinds in (
            (self._networks, (NETWORK_KIND,)),
            (self._volumes, CLAIM_KINDS),
            (self._vms, (VM_KIND,)),
        ):
            stale = self._reads.readers(shown)
            dirty |= {key for key in stale if key.kind in kinds}
            self._stale = frozenset(dirty if changed is None else shown | stale)
            verdicts = verdicts_of([key for key in dirty if key.kind in kinds], resolver)
            shown |= {key for key, verdict in verdicts.items() if self._looks_new(key, verdict.thing)}
            self._desired.enter(verdicts, self._inputs)
        dirty |= self._desired.reject_duplicates({key for key in dirty if key.kind == VM_KIND}, self._inputs)
        self._enter_rest(dirty, resolver)
        self.touched = frozenset(dirty)
        return self._state

    def readers(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """What was resolved from any of these: VMs from their claims, networks and Secrets, for instance."""
        return self._reads.readers(keys)

    def _everything(self) -> set[ObjectKey]:
        """Whatever is known now, or was."""
        known, state, observed = self._inputs.declared, self._state, self._inputs.observed
        networks = (key for key, thing in observed.items() if isinstance(thing, LiveNetwork))
        return {*known.documents, *known.invalid, *self._wanted, *state.invalid, *state.not_here, *networks}

    def _settle(self, dirty: set[ObjectKey]) -> set[ObjectKey]:
        """Which document counts for each dirty object: its own, the last applied one, or none. Adds the claims whose place
        moved to ``dirty``; returns those whose document is another than before.
        """
        declared, moved = self._inputs.declared, set[ObjectKey]()
        for key in [key for key in dirty if key.kind == VM_KIND]:
            names = self._placement.put(key, declared.documents.get(key) if self._inputs.is_valid(key) else None)
            moved |= {ObjectKey(kind, *name) for name in names for kind in CLAIM_KINDS}
        dirty |= {key for key in moved if key in declared.documents}
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
        if self._inputs.why_invalid(key) is not None:
            live = self._inputs.live(key)
            if live is not None:
                self._on_live.add(key)
            return held_document(key, live)
        return None if self._placement.why_not_here(key) else self._inputs.declared.documents.get(key)

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

    def _with_general_inputs(self, dirty: set[ObjectKey]) -> set[ObjectKey]:
        """All networks when one of them or the host's bridges changed, all claims when a StorageClass did."""
        for key in dirty:
            if isinstance(self._inputs.live(key), LiveNetwork):
                self._networks_here.add(key)
            else:
                self._networks_here.discard(key)
        there = (self._inputs.live(key) for key in self._networks_here)
        own = {thing.network.bridge for thing in there if isinstance(thing, LiveNetwork) and thing.network}
        before, self._bridges = self._bridges, frozenset(self._inputs.host.bridges) - own
        more: set[ObjectKey] = set()
        if before != self._bridges or any(key.kind == NETWORK_KIND for key in dirty):
            more |= self._general[NETWORK_KIND]
        if any(key.kind == CLASS_KIND for key in dirty):
            more |= {key for kind in CLAIM_KINDS for key in self._general[kind]}
        return more

    def _object_resolver(self) -> ObjectResolver:
        return ObjectResolver(
            policy=self._policy,
            digest=self._digest,
            inputs=self._inputs,
            wanted=self._wanted,
            resolved=self._resolved,
            classes={key.name: self._wanted[key] for key in self._general[CLASS_KIND]},
            bridges=self._bridges,
            reads=self._reads,
        )

    def _resolved(self, key: ObjectKey) -> Resolved | None:
        return self._state.objects.get(key)

    def _networks(self, keys: Collection[ObjectKey], resolver: ObjectResolver) -> dict[ObjectKey, Verdict]:
        """All networks, if any: one more may overlap any other."""
        verdicts = {key: resolver.network(key) for key in keys}
        if not verdicts or self._policy.on_cluster:
            return verdicts
        made = {key: verdict.thing for key, verdict in verdicts.items() if verdict.thing is not None}
        there = [key for key in self._networks_here if self._inputs.live(key) is not None]
        for lost, reason in overlaps(made, self._policy.pod_network, there):
            verdicts[lost.key] = overlapping(lost, reason)
        return verdicts

    def _volumes(self, keys: Collection[ObjectKey], resolver: ObjectResolver) -> dict[ObjectKey, Verdict]:
        return {key: resolver.volume(key) for key in keys}

    def _vms(self, keys: Collection[ObjectKey], resolver: ObjectResolver) -> dict[ObjectKey, Verdict]:
        verdicts = {key: self._as_before(key) or resolver.vm(key, is_held=key in self._on_live) for key in keys}
        self._on_live |= {key for key, verdict in verdicts.items() if verdict.is_held}
        return verdicts

    def _as_before(self, key: ObjectKey) -> Verdict | None:
        """A VM that only moved on the host: its document and nothing that it is made of is another."""
        vm = self._state.objects.get(key)
        if not isinstance(vm, ResolvedVm) or vm.of_another_key or key in self._stale:
            return None
        if vm.document is not self._wanted.get(key):  # held at what was applied last: that is judged each time
            return None
        return Verdict(thing=vm if self._policy.on_cluster else heeding_key(vm, self._inputs.live(key)))

    def _looks_new(self, key: ObjectKey, thing: Resolved | None) -> bool:
        """Whether VMs see another network or claim than before."""
        before = self._state.objects.get(key)
        if isinstance(thing, ResolvedVolume) and isinstance(before, ResolvedVolume):
            return VolumePlace.of(thing, "") != VolumePlace.of(before, "")
        return (thing is None) != (before is None)

    def _enter_rest(self, dirty: set[ObjectKey], resolver: ObjectResolver) -> None:
        """Kinds that are not resolved, and where objects belong."""
        others = {key for key in dirty if key.kind not in (NETWORK_KIND, VM_KIND, *CLAIM_KINDS)} - {POD_NETWORK}
        placed = [key for key in dirty if key.kind in (VM_KIND, *CLAIM_KINDS)]
        valid, elsewhere = self._inputs.is_valid, self._placement.why_not_here
        self._desired.enter_rest(
            dirty,
            self._inputs,
            resources={key: resolver.resource(key) for key in others} if self._policy.on_cluster else {},
            invalid={key: self._inputs.why_invalid(key) for key in others},
            not_here={key: elsewhere(key) or None if valid(key) else None for key in placed},
        )
