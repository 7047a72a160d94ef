"""Caches → `Observation`: what there is, what could not be read, and the trash. No request is made for what is watched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodeexec.kubevirt.cache import Name
from nodeexec.kubevirt.caches import Caches, key_of
from nodeexec.kubevirt.deletions import Deletions
from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, DATA_VOLUME, INSTANCE, KINDS, NETWORK, VM
from nodeexec.kubevirt.losses import Loss, is_ours, loss_of, lost_volume
from nodeexec.kubevirt.marks import OWNER, labels_of, metadata_of
from nodeexec.kubevirt.project_network import live_network, live_resource
from nodeexec.kubevirt.project_vm import is_of_pool, live_vm, sized
from nodeexec.kubevirt.project_volume import is_trash, live_volume, trash_item
from nodeexec.kubevirt.register import Register
from nodeexec.kubevirt.register_text import KnownDisk
from reconciler.model.instancetype import instancetype_of
from reconciler.model.keys import ObjectKey
from reconciler.model.live import (
    HostFacts,
    KeptField,
    LiveObject,
    LiveVm,
    LiveVolume,
    Observation,
    TrashItem,
    Unreadable,
)
from reconciler.model.moment import Moment
from reconciler.ports import Clock


@dataclass(frozen=True, slots=True)
class _Projected:
    """A live object, and what it was made of."""

    document: Mapping[str, Any]
    beside: Mapping[str, Any] | None
    settled: tuple[KeptField, ...]
    users: tuple[ObjectKey, ...]
    sizing: Mapping[str, Any] | None
    disk: KnownDisk | None
    loss: Loss | None
    live: LiveObject


def is_kept_trash(document: Mapping[str, Any], key: ObjectKey, owner: str) -> bool:
    """Whether a volume lies in an owner's trash and can come back: one that is being deleted cannot."""
    return is_trash(document) and is_ours(document, key, owner) and not metadata_of(document).get("deletionTimestamp")


class Observer:
    """Reads the caches. ``version`` is the server's, once it was asked. What was projected once is given again while nothing of it changed."""

    def __init__(
        self,
        caches: Caches,
        *,
        owner: str,
        deletions: Deletions,
        register: Register,
        host: str,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self._caches, self._owner, self._clock = caches, owner, clock
        self.host = host
        self._deletions, self._register = deletions, register
        self._boot_id = boot_id
        self.version = ""
        self._known: dict[ObjectKey, _Projected] = {}

    def moment(self) -> Moment:
        """Now, by both clocks of the machine that this replica runs on."""
        return Moment(boot_id=self._boot_id, monotonic_s=self._clock.monotonic(), at=self._clock.now())

    def observation(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Everything owned, or what stands under ``keys``; and the trash of either."""
        deletions, disks_known = self._deletions.known(), self._register.is_known()
        with self._caches.lock:
            asked = None if keys is None else frozenset(keys)
            wanted = tuple(self._owned()) if asked is None else asked
            objects = {key: live for key in sorted(wanted) if (live := self.live(key)) is not None}
            gaps = [(VM if kind == INSTANCE else kind, why) for kind, why in sorted(self._caches.gaps().items())]
            gaps += [] if disks_known else [(kind, self._register.fault) for kind in CLAIM_KINDS]
            return Observation(
                taken_at=self._clock.now(),
                host=HostFacts(hostname=self.host, accelerator="kubevirt", hypervisor=self.version),
                objects=objects,
                asked=asked,
                trash=tuple(self._trash(asked)),
                deletions=deletions,
                deletions_unknown=self._deletions.fault,
                unreadable=tuple(Unreadable(reason=why, kinds=frozenset({kind})) for kind, why in gaps),
                foreign_vms=tuple(
                    f"{name[0]}/{name[1]}"
                    for name, document in self._caches.items(VM)
                    if labels_of(document).get(OWNER) != self._owner and not is_of_pool(document)
                ),
            )

    def live(self, key: ObjectKey) -> LiveObject | None:
        """One live object, owned or not; what is in the trash is none."""
        name = (key.namespace, key.name)
        document = self._caches.find(key)
        if document is None or (key.kind in CLAIM_KINDS and is_trash(document)):
            self._known.pop(key, None)
            return self._lost(key, document, self.loss(key))
        beside, settled = self._beside(key, name, document), self._caches.settled(key)
        users, known = self._users(key, name), self._known.get(key)
        sizing = self._sizing(key, document)
        disk, loss = self._register.get(name), self.loss(key)
        if (
            known is not None
            and known.document is document
            and known.beside is beside
            and known.sizing is sizing
            and known.disk is disk
            and (known.settled, known.users, known.loss) == (settled, users, loss)
        ):
            return known.live
        live = self._lost(key, document, loss) or self._projected(key, document, beside, settled, users)
        if isinstance(live, LiveVm):
            live = sized(live, sizing)
        self._known[key] = _Projected(document, beside, settled, users, sizing, disk, loss, live)
        return live

    def loss(self, key: ObjectKey) -> Loss | None:
        """How a disk was lost; None for one that is there, that nobody knows of, or of which nobody can tell now."""
        if key.kind not in CLAIM_KINDS:
            return None
        name, document = (key.namespace, key.name), self._caches.find(key)
        if document is not None and is_trash(document):
            return None
        known, claim = self._register.get(name), self._caches.get(CLAIM, name)
        leaves = document is not None and self._leaves_with_its_vm(document, key.namespace)
        found = loss_of(key, known, document, claim, owner=self._owner, leaves_with_its_vm=leaves)
        return found if found is not None and not self._is_blind(key, document) else None

    def _leaves_with_its_vm(self, document: Mapping[str, Any], namespace: str) -> bool:
        """Whether a disk belongs to a VM that is not there any more: the cluster deletes it after that."""
        owners = [one for one in metadata_of(document).get("ownerReferences") or () if one.get("kind") == VM]
        if not owners or VM in self._caches.gaps():
            return False
        vms = (self._caches.get(VM, (namespace, str(one.get("name", "")))) or {} for one in owners)
        return all(metadata_of(vm).get("uid") != one.get("uid") for vm, one in zip(vms, owners, strict=True))

    def _lost(self, key: ObjectKey, document: Mapping[str, Any] | None, loss: Loss | None) -> LiveVolume | None:
        if loss is None:
            return None
        name = (key.namespace, key.name)
        return lost_volume(
            key, self._register.get(name), document, loss,
            users=self._users(key, name), owner=self._owner, host=self.host,
        )  # fmt: skip

    def _is_blind(self, key: ObjectKey, document: Mapping[str, Any] | None) -> bool:
        """Whether nobody can tell that it, or the claim under it, is not there: that may not be read, or CDI was taken out of the cluster for
        a while.
        """
        gaps = self._caches.gaps()
        if document is None:
            return key.kind in gaps or self._caches.is_missing(KINDS[key.kind])
        return CLAIM in gaps and is_ours(document, key, self._owner)

    def _projected(
        self,
        key: ObjectKey,
        document: Mapping[str, Any],
        beside: Mapping[str, Any] | None,
        settled: tuple[KeptField, ...],
        users: tuple[ObjectKey, ...],
    ) -> LiveObject:
        host = self.host
        match key.kind:
            case k if k == VM:
                return live_vm(key, document, beside, host=host, settled=settled)
            case k if k in CLAIM_KINDS:
                return live_volume(key, document, beside, users, host=host, settled=settled)
            case k if k == NETWORK:
                return live_network(key, document, users, host=host, settled=settled)
        return live_resource(key, document, users, host=host, settled=settled)

    def _sizing(self, key: ObjectKey, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The instancetype of a VM, where it is known."""
        named = instancetype_of(document, key.namespace) if key.kind == VM else None
        return self._caches.find(named) if named is not None else None

    def _beside(self, key: ObjectKey, name: Name, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A VM's instance; the claim that a volume's bytes are in."""
        if key.kind == VM:
            return self._caches.get(INSTANCE, name)
        if key.kind == DATA_VOLUME:
            return self._caches.get(CLAIM, name)
        return document if key.kind == CLAIM else None

    def _users(self, key: ObjectKey, name: Name) -> tuple[ObjectKey, ...]:
        if key.kind in CLAIM_KINDS:
            return tuple(ObjectKey(VM, *user) for user in self._caches.users_of(name))
        if key.kind == NETWORK:
            return tuple(ObjectKey(VM, *user) for user in self._caches.plugged_into(name))
        return tuple(ObjectKey(VM, *user) for user in self._caches.sized_by(key))

    def _owned(self) -> Iterator[ObjectKey]:
        for kind in self._caches.kinds:
            if kind.name == INSTANCE:
                continue
            for name, document in self._caches.items(kind.name):
                key = key_of(kind, name, document)
                if is_ours(document, key, self._owner):
                    yield key
        for disk in self._register.disks():
            there = self._caches.find(disk.key)
            is_known = there is not None and is_ours(there, disk.key, self._owner)
            if not is_known and self.loss(disk.key) is not None:
                yield disk.key

    def _trash(self, asked: frozenset[ObjectKey] | None) -> Iterator[TrashItem]:
        now = self.moment()
        for kind in CLAIM_KINDS:
            names = self._caches.items(kind) if asked is None else self._asked_for(kind, asked)
            for name, document in names:
                key = ObjectKey(kind, *name)
                if is_kept_trash(document, key, self._owner):
                    yield trash_item(key, document, self._beside(key, name, document), host=self.host, now=now)

    def _asked_for(self, kind: str, asked: frozenset[ObjectKey]) -> Iterator[tuple[Name, Mapping[str, Any]]]:
        for key in sorted(asked):
            document = self._caches.get(kind, (key.namespace, key.name)) if key.kind == kind else None
            if document is not None:
                yield (key.namespace, key.name), document
