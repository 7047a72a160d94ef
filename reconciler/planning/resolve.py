"""Everything the accepted revisions declare → what this host should be: the first step of planning.

An object that is invalid or cannot be resolved is held at the document that was last applied to it, where there is one
(law 5); what depends on something missing is blocked and says by what; everything else proceeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.declared import Contest, Declared
from reconciler.model.document import Document
from reconciler.model.domain import ClaimSource, SeedSource
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import HostFacts, LiveNetwork, LiveObject, LiveVm, LiveVolume, Observation
from reconciler.model.policy import Policy
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import DesiredState, Resolved, ResolvedVm, ResolvedVolume
from reconciler.planning.host_rules import require_room
from reconciler.planning.network_overlap import overlaps
from reconciler.planning.placement import not_here
from reconciler.planning.redact import Digest, source_of
from reconciler.planning.resolve_network import pod_network, resolve_network
from reconciler.planning.resolve_vm import References, VolumePlace, resolve_vm
from reconciler.planning.resolve_volume import CLAIM_KINDS, resolve_volume
from reconciler.planning.seed import MissingReferenceError
from reconciler.planning.unresolvable import UnresolvableError

NETWORK_KIND = "NetworkAttachmentDefinition"
VM_KIND = "VirtualMachine"
CONFIG = ("spec", "config")


@dataclass(slots=True)
class _Resolution:
    """What has been found so far; a builder, private to this file."""

    objects: dict[ObjectKey, Resolved] = field(default_factory=dict)
    invalid: dict[ObjectKey, str] = field(default_factory=dict)
    blocked: dict[ObjectKey, tuple[str, tuple[ObjectKey, ...]]] = field(default_factory=dict)
    not_here: dict[ObjectKey, str] = field(default_factory=dict)
    problems: dict[ObjectKey, Problem] = field(default_factory=dict)


def resolve(declared: Declared, observation: Observation, *, policy: Policy, digest: Digest) -> DesiredState:
    """Join everything with everything, on the host that was observed."""
    state = _Resolution(invalid=dict(declared.invalid))
    live = {key: thing for key, thing in observation.objects.items() if _is_owned(thing, policy)}
    state.invalid.update(_lost_contests(declared.contests, live))
    documents = dict(declared.documents)
    for key in state.invalid:
        documents.pop(key, None)
    held = {key: _held_document(key, live[key]) for key in state.invalid if key in live}
    state.not_here = not_here(documents, policy)
    here = {key: document for key, document in documents.items() if key not in state.not_here}
    wanted = here | {key: document for key, document in held.items() if document is not None}
    _networks(state, wanted, live, observation, policy, digest)
    _volumes(state, wanted, live, declared, policy, digest)
    _vms(state, wanted, held, live, observation.host, policy, digest)
    _reject_duplicate_identity(state, live)
    if any(POD_NETWORK in vm.networks for vm in state.objects.values() if isinstance(vm, ResolvedVm)):
        state.objects[POD_NETWORK] = pod_network(policy)
    return DesiredState(
        readings=declared.readings,
        objects=dict(sorted(state.objects.items())),
        present=declared.present | ({POD_NETWORK} if POD_NETWORK in state.objects else set()),
        invalid=state.invalid,
        blocked=state.blocked,
        not_here=state.not_here,
        problems=tuple(state.problems.values()),
    )


def _is_owned(live: LiveObject, policy: Policy) -> bool:
    return live.marks is not None and live.marks.owner == policy.owner


def _lost_contests(contests: tuple[Contest, ...], live: Mapping[ObjectKey, LiveObject]) -> dict[ObjectKey, str]:
    """Law 5: the claimant that already has the thing keeps it; with none, all lose."""
    lost: dict[ObjectKey, str] = {}
    for contest in contests:
        holders = [key for key in contest.claimants if key in live]
        keeper = holders[0] if len(holders) == 1 else None
        for key in contest.claimants:
            if key != keeper:
                others = ", ".join(str(other) for other in contest.claimants if other != key)
                lost[key] = f"{_noun(contest)} {contest.resource} is also claimed by {others}"
    return lost


def _noun(contest: Contest) -> str:
    return {"mac-duplicate": "MAC", "uuid-duplicate": "UUID"}.get(contest.code, "disk")


def _held_document(key: ObjectKey, live: LiveObject) -> Document | None:
    """The last applied document, as the object itself remembers it."""
    applied = live.marks.applied if live.marks else None
    if applied is None:
        return None
    api_version = str(applied.get("apiVersion", ""))
    return Document(
        key=key, api_version=api_version, body=applied, digest="", file="(last applied)", origin=source_of(live)
    )


def _networks(
    state: _Resolution,
    wanted: Mapping[ObjectKey, Document],
    live: Mapping[ObjectKey, LiveObject],
    observation: Observation,
    policy: Policy,
    digest: Digest,
) -> None:
    own = {thing.network.bridge for thing in live.values() if isinstance(thing, LiveNetwork) and thing.network}
    bridges = frozenset(observation.host.bridges) - own
    for key, document in wanted.items():
        if key.kind == NETWORK_KIND:
            with _faults(state, key):
                state.objects[key] = resolve_network(document, policy=policy, digest=digest, host_bridges=bridges)
    for lost, reason in tuple(overlaps(state.objects, policy.pod_network, live.keys())):
        del state.objects[lost.key]
        if lost.document is not None:
            state.invalid[lost.key] = reason
            place, path = lost.document.place(CONFIG), ".".join(CONFIG)
            hint = "take another subnet"
            state.problems[lost.key] = problem("network-overlap", place, reason, object=lost.key, path=path, hint=hint)


def _volumes(
    state: _Resolution,
    wanted: Mapping[ObjectKey, Document],
    live: Mapping[ObjectKey, LiveObject],
    declared: Declared,
    policy: Policy,
    digest: Digest,
) -> None:
    classes = {key.name: document for key, document in wanted.items() if key.kind == "StorageClass"}
    for key, document in wanted.items():
        if key.kind in CLAIM_KINDS:
            found = live.get(key)
            with _faults(state, key):
                state.objects[key] = resolve_volume(
                    document,
                    policy=policy,
                    digest=digest,
                    classes=classes,
                    documents=wanted,
                    live=found if isinstance(found, LiveVolume) else None,
                    owner_vm=declared.template_owners.get(key),
                )


def _vms(
    state: _Resolution,
    wanted: Mapping[ObjectKey, Document],
    held: Mapping[ObjectKey, Document | None],
    live: Mapping[ObjectKey, LiveObject],
    host: HostFacts,
    policy: Policy,
    digest: Digest,
) -> None:
    """Every VM; one that lacks something is held at its last applied document, if it has one."""
    volumes = {
        key: VolumePlace(key=key, pool=thing.pool, format=thing.format)
        for key, thing in state.objects.items()
        if isinstance(thing, ResolvedVolume)
    }
    networks = frozenset(key for key in state.objects if key.kind == NETWORK_KIND)
    references = References(documents=wanted, volumes=volumes, networks=networks)
    on_host = _references_on_host(references, live)
    for key, document in wanted.items():
        if key.kind != VM_KIND:
            continue
        if key not in held:
            with _faults(state, key):
                found = resolve_vm(document, references, policy=policy, digest=digest)
                require_room(found, host)
                state.objects[key] = found
                continue
        last = _held_document(key, live[key]) if key in live else None
        if last is not None:
            kept = replace(on_host, kept_seeds=_kept_seeds(live[key]))
            with _faults(state, key):
                state.objects[key] = resolve_vm(last, kept, policy=policy, digest=digest)


def _references_on_host(references: References, live: Mapping[ObjectKey, LiveObject]) -> References:
    """What a VM that is held may stand on as well: volumes and networks that are there, though Git dropped them."""
    there = {
        key: VolumePlace(key=key, pool=thing.pool, format=thing.format)
        for key, thing in live.items()
        if isinstance(thing, LiveVolume)
    }
    networks = frozenset(key for key, thing in live.items() if isinstance(thing, LiveNetwork))
    return replace(references, volumes={**there, **references.volumes}, networks=references.networks | networks)


def _kept_seeds(live: LiveObject | None) -> dict[str, str]:
    """The seed ISOs that a VM's next boot has now."""
    spec = (live.stored or live.running) if isinstance(live, LiveVm) else None
    return {disk.name: disk.source.digest for disk in spec.disks if isinstance(disk.source, SeedSource)} if spec else {}


class _faults:  # noqa: N801  (reads as a statement: ``with _faults(state, key):``)
    """Turns the two ways an object can fail to resolve into entries of the state, so that the others go on."""

    def __init__(self, state: _Resolution, key: ObjectKey) -> None:
        self._state, self._key = state, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, MissingReferenceError):
            self._state.blocked[self._key] = (str(error), (error.key,))
            return True
        if isinstance(error, UnresolvableError):
            self._state.invalid.setdefault(self._key, str(error))
            self._state.problems.setdefault(self._key, error.problem)
            return True
        return False


def _reject_duplicate_identity(state: _Resolution, live: Mapping[ObjectKey, LiveObject]) -> None:
    """Law 9: a collision of MACs or UUIDs, derived ones included, is a fault of all claimants but the one that has it."""
    vms = [thing for thing in state.objects.values() if isinstance(thing, ResolvedVm)]
    macs = [(interface.mac, interface.mac, vm.key) for vm in vms for interface in vm.domain.interfaces]
    uuids = [(vm.domain.uuid, vm.domain.uuid, vm.key) for vm in vms]
    for code, claims in (("mac-duplicate", macs), ("uuid-duplicate", uuids)):
        claimants: dict[str, tuple[str, list[ObjectKey]]] = {}
        for value, name, key in claims:
            claimants.setdefault(value, (name, []))[1].append(key)
        contests = tuple(
            Contest(code=code, resource=name, claimants=tuple(dict.fromkeys(keys)))
            for name, keys in claimants.values()
            if len(keys) > 1
        )
        for key, reason in _lost_contests(contests, live).items():
            loser = state.objects.pop(key, None)
            if key not in state.invalid and loser is not None and loser.document is not None:
                state.invalid[key] = reason
                place, hint = loser.document.place(), "set one of them yourself, or rename the VM or the interface"
                state.problems[key] = problem(code, place, reason, object=key, hint=hint)


def claims_in_use(desired: DesiredState) -> frozenset[tuple[str, str]]:
    """(namespace, claim) of every disk that a wanted VM stands on."""
    return frozenset(
        (disk.source.namespace, disk.source.claim)
        for vm in desired.objects.values()
        if isinstance(vm, ResolvedVm)
        for disk in vm.domain.disks
        if isinstance(disk.source, ClaimSource)
    )
