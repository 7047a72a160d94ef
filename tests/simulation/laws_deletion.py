"""Unknown is never empty (law 2), prune annotations, and the blast radius of deletions (law 7)."""

from __future__ import annotations

from collections.abc import Iterator

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.names import volume_key
from nodeexec.simulated.state import HostState, domain_name
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action
from tests.simulation.fleet import CLAIM, DATA_VOLUME, VM
from tests.simulation.known import Known, changed_things, marks_of, owned_keys, vm_of
from tests.simulation.laws_guests import FEW, Begun


def _removed(known: Known, record: StepRecord) -> frozenset[ObjectKey]:
    """Keys of ours that are not any more. To count them all is only needed where a thing of ours went, or its mark did."""
    went = any(
        before is not None and known.owns(marks_of(before)) and (after is None or not known.owns(marks_of(after)))
        for _, before, after in changed_things(record)
    )
    if known.asks("release") or not went:
        return frozenset()
    return owned_keys(record.before, known) - owned_keys(record.after, known)


def deletions_are_declared(known: Known, record: StepRecord) -> Iterator[str]:
    """What goes is declared by nobody, in a complete reading of an accepted revision."""
    for gone in sorted(_removed(known, record)):
        fleet = known.accepted(gone)
        if fleet is None:
            yield f"{gone} was removed before any revision was accepted"
        elif gone in fleet.present():
            yield f"{gone} was removed and is declared"
        elif fleet.has_spoilt_file:
            yield f"{gone} was removed on an incomplete reading"


def prune_annotations_hold(known: Known, record: StepRecord) -> Iterator[str]:
    """What its last document says never to prune stays; what it says to confirm goes when a person did."""
    for gone in sorted(_removed(known, record)):
        word = _prune_word(gone, record.before)
        if word == "false":
            yield f"{gone} was removed and its annotations say never to"
        if word == "confirm" and (gone, Action.DELETE) not in known.approved:
            yield f"{gone} was removed and nobody confirmed it"


def _prune_word(gone: ObjectKey, state: HostState) -> str:
    """``false``, ``confirm`` or nothing, of the document that was applied last."""
    names = {domain_name(gone), f"{domain_name(gone)}.qcow2", f"{domain_name(gone)}.raw"}
    found = (
        *(domain.marks for domain in state.domains.values() if gone.kind == VM and domain.name in names),
        *(volume.marks for volume in state.volumes.values() if volume.kind == gone.kind and volume.name in names),
        *(network.marks for network in state.networks.values() if network.kind == gone.kind and network.name in names),
    )
    marks = next(iter(found), None)
    said = ((marks.applied or {}).get("metadata", {}).get("annotations") or {}) if marks is not None else {}
    argo = str(said.get("argocd.argoproj.io/sync-options", ""))
    own = str(said.get("gitvirt.io/prune", ""))
    if own == "false" or argo == "Prune=false" or said.get("kustomize.toolkit.fluxcd.io/prune") == "disabled":
        return "false"
    return "confirm" if own == "confirm" or argo == "Prune=confirm" else ""


class BlastRadius:
    """Many deletions within an hour wait for a person; an approval counts once. Of VMs, and of disks."""

    def __init__(self) -> None:
        self._gone: list[tuple[Begun, ObjectKey]] = []
        self._begun: dict[ObjectKey, Begun] = {}
        self._by_others: set[ObjectKey] = set()

    def note_foreign(self, record: StepRecord) -> None:
        """What somebody else removed counts as there: it is gone by another hand than gitvirt's."""
        gone = record.before.domains.keys() - record.after.domains.keys()
        self._by_others |= {vm_of(record.before.domains[name]) for name in gone if record.before.domains[name].marks}

    def __call__(self, known: Known, record: StepRecord) -> Iterator[str]:
        """The law. A deletion counts from when it was begun, which puts a definition into the trash, however long the rest takes."""
        for name in record.after.trash.keys() - record.before.trash.keys():
            self._begun[record.after.trash[name].item.key] = Begun.of(known, record)
        if known.asks("trash-empty"):
            items = known.act.items if known.act is not None else frozenset()
            emptied = {record.before.trash[item].item.key for item in items if item in record.before.trash}
            self._gone = [(begun, gone) for begun, gone in self._gone if gone not in emptied]
        if known.asks("release"):
            # What an operator lets go of was there when deletions began that go on now.
            self._by_others |= owned_keys(record.before, known) - owned_keys(record.after, known)
            return
        for is_vm in (True, False):
            if is_vm and record.before.domains == record.after.domains:
                continue
            if not is_vm and record.before.volumes == record.after.volumes:
                continue
            had, has = (_counted(state, known, is_vm=is_vm) for state in (record.before, record.after))
            for gone in sorted(had - has):
                yield from self._judge(gone, has, known, record)

    def _judge(self, gone: ObjectKey, left: frozenset[ObjectKey], known: Known, record: StepRecord) -> Iterator[str]:
        self._gone.append((self._begun.pop(gone, None) or Begun.of(known, record), gone))
        if (gone, Action.DELETE) in known.approved:
            known.approved.discard((gone, Action.DELETE))
            return
        kind = [one for _, one in self._gone if (one.kind == VM) == (gone.kind == VM)]
        stays = left | {one for one in self._by_others if (one.kind == VM) == (gone.kind == VM)}
        if gone.kind != VM:
            # A disk in the making is one that stays, although losing it would not count.
            stays |= {one for one in owned_keys(record.after, known) if one.kind in (CLAIM, DATA_VOLUME)}
        recent = min(
            (
                {one for begun, one in self._gone if one in kind and one not in left and begun.is_recent(record, now)}
                for now in known.moments(record)
            ),
            key=len,
        )
        if len(recent) > FEW and len(recent) > 0.1 * len(recent | stays):
            yield f"{len(recent)} deletions within an hour without approval: {', '.join(map(str, sorted(recent)))}"
        if len(recent) >= 2 and not stays - recent:
            yield f"all of a kind were deleted within an hour without approval: {', '.join(map(str, sorted(recent)))}"


def _counted(state: HostState, known: Known, *, is_vm: bool) -> frozenset[ObjectKey]:
    """VMs, or finished volumes of claims: a copy that never ended holds nothing."""
    if is_vm:
        return frozenset(vm_of(domain) for domain in state.domains.values() if known.owns(domain.marks))
    return frozenset(volume_key(v) for v in state.volumes.values() if v.kind and known.owns(v.marks))
