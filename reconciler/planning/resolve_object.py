"""One object of any kind, resolved with what it names: what that came to is a `Verdict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveObject, LiveVolume
from reconciler.model.policy import Policy
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.planning.held import held_document, kept_seeds
from reconciler.planning.host_rules import require_room
from reconciler.planning.inputs import Inputs
from reconciler.planning.other_key import heeding_key
from reconciler.planning.reads import Reads, Recorded
from reconciler.planning.redact import Digest
from reconciler.planning.resolve_cluster import (
    network_of_cluster,
    resource_of_cluster,
    vm_of_cluster,
    volume_of_cluster,
)
from reconciler.planning.resolve_network import resolve_network
from reconciler.planning.resolve_vm import References, VolumePlace, resolve_vm
from reconciler.planning.resolve_volume import resolve_volume
from reconciler.planning.verdict import Verdict, verdict_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectResolver:
    """Resolves one object after the other. ``wanted`` are the documents that count, ``resolved`` gives what an object came to
    already, ``classes`` the StorageClasses by name, ``bridges`` those of the host that gitvirt did not make. ``reads`` is told what was
    looked at for each object.
    """

    policy: Policy
    digest: Digest
    inputs: Inputs
    wanted: Mapping[ObjectKey, Document]
    resolved: Callable[[ObjectKey], Resolved | None]
    classes: Mapping[str, Document]
    bridges: frozenset[str]
    reads: Reads

    def network(self, key: ObjectKey) -> Verdict:
        """A network by itself; whether it overlaps another one is not looked at."""
        document = self.wanted.get(key)
        if document is None:
            return Verdict()
        policy, digest, bridges = self.policy, self.digest, self.bridges
        if policy.on_cluster:
            return Verdict(thing=network_of_cluster(document, digest))
        return verdict_of(lambda: resolve_network(document, policy=policy, digest=digest, host_bridges=bridges))

    def volume(self, key: ObjectKey) -> Verdict:
        """A claim or DataVolume, with its StorageClass and what it is a copy of."""
        document = self.wanted.get(key)
        read: set[ObjectKey] = set()
        if document is None:
            self.reads.note(key, read)
            return Verdict()
        owner_vm = self.inputs.declared.template_owners.get(key)
        if self.policy.on_cluster:
            return Verdict(thing=volume_of_cluster(document, self.digest, owner_vm))
        live = self.inputs.live(key)
        verdict = verdict_of(
            lambda: resolve_volume(
                document,
                policy=self.policy,
                digest=self.digest,
                classes=self.classes,
                documents=Recorded(self.wanted.get, read),
                live=live if isinstance(live, LiveVolume) else None,
                owner_vm=owner_vm,
            )
        )
        self.reads.note(key, read)
        return verdict

    def vm(self, key: ObjectKey, *, is_held: bool) -> Verdict:
        """A VM; one that lacks something is held at its last applied document, if it has one, as one is of which it is known
        beforehand (``is_held``).
        """
        document = self.wanted.get(key)
        if document is None:
            self.reads.note(key, ())
            return Verdict()
        verdict = Verdict()
        if not is_held:
            read: set[ObjectKey] = set()
            references = References(
                documents=Recorded(self.wanted.get, read),
                volumes=Recorded(self._place, read),
                networks=Recorded(self._network, read),
            )
            verdict = verdict_of(lambda: self._fitting(document, references))
            self.reads.note(key, read)
            if verdict.thing is not None:
                return verdict
        return self._held(key, verdict)

    def resource(self, key: ObjectKey) -> Resolved | None:
        """Any other object, where a platform serves it."""
        document = self.wanted.get(key)
        return resource_of_cluster(document, self.digest) if document is not None else None

    def _held(self, key: ObjectKey, verdict: Verdict) -> Verdict:
        live = self.inputs.live(key)
        last = held_document(key, live)
        if last is None:
            return verdict
        on_host = References(
            documents=self.wanted,
            volumes=Recorded(self._place_on_host, set()),
            networks=Recorded(self._network_on_host, set()),
            kept_seeds=kept_seeds(live),
        )
        held = verdict_of(lambda: resolve_vm(last, on_host, policy=self.policy, digest=self.digest))
        return replace(
            held,
            invalid=verdict.invalid or held.invalid,
            problem=verdict.problem or held.problem,
            blocked=verdict.blocked or held.blocked,
            is_held=True,
        )

    def _fitting(self, document: Document, references: References) -> ResolvedVm:
        """A VM that this host has room for, or a cluster takes care of."""
        if self.policy.on_cluster:
            return vm_of_cluster(document, references, policy=self.policy, digest=self.digest)
        vm = resolve_vm(document, references, policy=self.policy, digest=self.digest)
        require_room(vm, self.inputs.host)
        return heeding_key(vm, self.inputs.live(document.key))

    def _place(self, key: ObjectKey) -> VolumePlace | None:
        thing = self.resolved(key)
        return VolumePlace.of(thing, self.policy.owner) if isinstance(thing, ResolvedVolume) else None

    def _network(self, key: ObjectKey) -> Resolved | None:
        thing = self.resolved(key)
        return thing if isinstance(thing, ResolvedNetwork) else None

    def _place_on_host(self, key: ObjectKey) -> VolumePlace | None:
        """What a VM that is held may stand on as well: a volume that is there, though Git dropped it."""
        live = self.inputs.live(key)
        there = VolumePlace.of(live, self.policy.owner) if isinstance(live, LiveVolume) else None
        return self._place(key) or there

    def _network_on_host(self, key: ObjectKey) -> Resolved | LiveObject | None:
        live = self.inputs.live(key)
        return self._network(key) or (live if isinstance(live, LiveNetwork) else None)
