"""Data outlives mistakes (law 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.reading import volume_key
from nodeexec.simulated.state import HostState, HostTrash, claim_place, domain_name
from reconciler.model.domain import ClaimSource
from tests.simulation.fleet import CANARY, VM, key
from tests.simulation.known import Known, changed_domains, contents


def no_content_is_lost(known: Known, record: StepRecord) -> Iterator[str]:
    """Only emptying the trash ends bytes, of the items that were named, and nothing is ever there twice."""
    before, after = record.before, record.after
    if before.volumes == after.volumes and before.trash == after.trash:
        return
    had, has = Counter(contents(before)), Counter(contents(after))
    emptied = {
        entry.volume.content
        for name, entry in before.trash.items()
        if entry.volume is not None and known.asks("trash-empty") and known.act is not None and name in known.act.items
    }
    lost = set(had - has) - emptied
    if lost:
        yield f"content was destroyed: {sorted(lost)}"
    doubled = [content for content, count in has.items() if count > 1]
    if doubled:
        yield f"content is in two places: {doubled}"


def trash_items_are_kept(known: Known, record: StepRecord) -> Iterator[str]:
    """An item stays as it is until it is emptied by name, or what is in it is back in its place."""
    if record.before.trash == record.after.trash:
        return
    for name, entry in record.before.trash.items():
        now = record.after.trash.get(name)
        if now == entry:
            continue
        if now is not None:
            yield f"trash item {name} was overwritten"
        elif entry.item.owner != known.owner:
            yield f"trash item {name} is of {entry.item.owner}"
        elif known.act is not None and known.act.verb == "trash-empty" and name in known.act.items:
            continue
        elif not _is_back(entry, record.after):
            yield f"trash item {name} vanished"


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
    """What marks remember of a document holds digests of its secrets."""
    for _, after in changed_domains(record):
        if after is not None and after.marks is not None and CANARY in repr(after.marks):
            yield f"the marks of {after.name} hold a secret"


DATA_LAWS = (
    no_content_is_lost,
    trash_items_are_kept,
    no_disk_shrinks,
    no_disk_in_two_running_vms,
    no_disk_in_use_goes,
    no_secret_on_the_host,
)
