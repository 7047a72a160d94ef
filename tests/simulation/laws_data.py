"""Data outlives mistakes (law 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.names import volume_key
from nodeexec.simulated.state import HostState, HostTrash, claim_place, domain_name
from reconciler.model.domain import ClaimSource
from tests.simulation.fleet import CANARY, VM, key
from tests.simulation.known import Known, changed_domains, contents


class Trash:
    """Only emptying the trash by name, or an expiry that is set and came by a clock that nobody can set, ends what is in it; and
    only what is in it ever ends. Nothing is there twice.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def __call__(self, known: Known, record: StepRecord) -> Iterator[str]:
        """The law."""
        before, after = record.before, record.after
        if before.volumes == after.volumes and before.trash == after.trash:
            return
        for name in after.trash.keys() - before.trash.keys():
            self._since[name] = record.monotonic
        ended = {name for name in before.trash if self._may_end(name, known, record)}
        volumes = (before.trash[name].volume for name in ended)
        had, has = Counter(contents(before)), Counter(contents(after))
        lost = set(had - has) - {volume.content for volume in volumes if volume is not None}
        if lost:
            yield f"content was destroyed: {sorted(lost)}"
        doubled = [content for content, count in has.items() if count > 1]
        if doubled:
            yield f"content is in two places: {doubled}"
        for name, entry in before.trash.items():
            now = after.trash.get(name)
            if now is not None and replace(now, age=entry.age) != entry:
                yield f"trash item {name} was overwritten"
            elif now is not None and now != entry and entry.item.owner != known.owner:
                yield f"trash item {name} is of {entry.item.owner}"
            elif now is None and name not in ended and not _is_back(entry, after):
                yield f"trash item {name} vanished"

    def _may_end(self, name: str, known: Known, record: StepRecord) -> bool:
        entry = record.before.trash[name]
        if entry.item.owner != known.owner:
            return False
        if known.act is not None and known.act.verb == "trash-empty" and name in known.act.items:
            return True
        fleet = known.accepted(entry.item.key)
        is_wanted = entry.volume is not None and (fleet is None or entry.item.key in fleet.present())
        lay_s = record.monotonic - self._since.get(name, record.monotonic)
        is_old = known.expire_after_s is not None and lay_s >= known.expire_after_s
        return record.reason == "expire-trash" and is_old and not (is_wanted and _is_missing(entry, record.after))


def _is_missing(entry: HostTrash, state: HostState) -> bool:
    """Whether nothing has the place that a trashed volume would be taken back to."""
    return entry.volume is not None and entry.volume.place not in state.volumes


def _is_back(entry: HostTrash, state: HostState) -> bool:
    if entry.volume is not None:
        return entry.volume.content in {volume.content for volume in state.volumes.values()}
    return domain_name(entry.item.key) in state.domains


def no_disk_shrinks(_known: Known, record: StepRecord) -> Iterator[str]:
    """Disks only grow."""
    sizes = {v.content: v.size_bytes for v in record.before.volumes.values() if v.content}
    for volume in record.after.volumes.values():
        if volume.content and volume.size_bytes < sizes.get(volume.content, 0):
            yield f"{volume.name} shrank"


def no_disk_in_two_running_vms(_known: Known, record: StepRecord) -> Iterator[str]:
    """A volume is open in one guest at most, unless its disks say that they share."""
    seen: dict[tuple[str, str], str] = {}
    for domain in record.after.domains.values():
        for disk in domain.running.disks if domain.running else ():
            if isinstance(disk.source, ClaimSource) and not disk.shareable:
                place = claim_place(disk.source)
                if place in seen:
                    yield f"{place[1]} is open in {seen[place]} and {domain.name}"
                seen[place] = domain.name


def no_disk_in_use_goes(known: Known, record: StepRecord) -> Iterator[str]:
    """What a live or a declared VM uses is neither trashed nor removed, an ISO neither."""
    for place in record.before.volumes.keys() - record.after.volumes.keys():
        users = record.after.users_of(place)
        if users:
            yield f"{place[1]} went away and {', '.join(users)} uses it"
        volume = record.before.volumes[place]
        fleet = known.accepted(key(VM, "any"))
        if not volume.kind or fleet is None:
            continue
        name = volume_key(volume).name
        readable = [vm for vm in fleet.vms.values() if not fleet.is_spoilt(key(VM, vm.name))]
        wanted_by = [vm.name for vm in readable if name in vm.disks]
        if wanted_by:
            yield f"{place[1]} went away and {', '.join(wanted_by)} is declared with it"


def no_secret_on_the_host(_known: Known, record: StepRecord) -> Iterator[str]:
    """What marks remember of a document holds digests of its secrets. Looked at where secrets are searched for."""
    for _, after in changed_domains(record):
        if after is not None and after.marks is not None and CANARY in repr(after.marks):
            yield f"the marks of {after.name} hold a secret"


DATA_LAWS = (
    no_disk_shrinks,
    no_disk_in_two_running_vms,
    no_disk_in_use_goes,
)
