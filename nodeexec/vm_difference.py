"""A VM: wanted spec against the stored and the running half, and against the document that was last applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nodeexec.recorded import recorded_only
from nodeexec.spec_fields import DISK_FIELDS, INTERFACE_FIELDS, VM_FIELDS, FieldFacts
from nodeexec.spec_verdicts import (
    LiveMeans,
    Verdict,
    disk_added,
    disk_removed,
    interface_added,
    interface_removed,
    summary_of,
)
from reconciler.model.domain import DomainSpec
from reconciler.model.live import KeptField, LiveVm
from reconciler.model.plan import Difference, Impact
from reconciler.model.quantity import KIB, MIB, format_bytes
from reconciler.model.resolved import ResolvedVm

TEMPLATE = "spec.template.spec"
ACCESS_PATH = f"{TEMPLATE}.accessCredentials"
IN_XML = "xml:"
"""Begins the path of what no manifest can say: a place in the hypervisor's own configuration."""

STORED_ONLY = "only the stored configuration differs; the guest runs as declared"
BALLOON_PLACE = "currentMemory"
"""The foreign field by which an engine says that a guest has less memory than its VM, in KiB (a balloon blown up by hand)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceList:
    """A keyed list of devices: where it stands in the manifest, what an item's fields are, what coming and going costs.
    ``companions`` are other lists of the manifest that say something of the item of that name.
    """

    field: str
    path: str
    companions: tuple[str, ...]
    fields: tuple[FieldFacts, ...]
    added: Callable[[Any], Verdict]
    removed: Callable[[Any], Verdict]


DEVICE_LISTS: tuple[DeviceList, ...] = (
    DeviceList(
        field="disks",
        path=f"{TEMPLATE}.domain.devices.disks",
        companions=(f"{TEMPLATE}.volumes",),
        fields=DISK_FIELDS,
        added=disk_added,
        removed=disk_removed,
    ),
    DeviceList(
        field="interfaces",
        path=f"{TEMPLATE}.domain.devices.interfaces",
        companions=(f"{TEMPLATE}.networks",),
        fields=INTERFACE_FIELDS,
        added=interface_added,
        removed=interface_removed,
    ),
)


@dataclass(frozen=True, slots=True)
class Halves:
    """One thing (the spec, or a device) in both halves of a live VM. ``is_on`` says whether there is a running half;
    None then means that the thing is not in it.
    """

    stored: Any
    running: Any
    is_on: bool
    was_defined: bool


def vm_differences(wanted: ResolvedVm, live: LiveVm) -> tuple[Difference, ...]:
    """All differences of a VM, unsorted."""
    spec = wanted.domain
    halves = Halves(live.stored, live.running, live.running is not None, live.stored is not None)
    found: list[Difference] = []
    explained: list[str] = []
    if live.stored is None:
        found.append(
            _difference(f"{TEMPLATE}.domain", None, {"name": spec.name}, True, False,
                        Verdict(Impact.NONE, "the domain has no stored configuration; it is written again"))
        )  # fmt: skip
    # What is equal as a whole, as most VMs are at most looks, differs in no field.
    is_equal = live.stored == spec and (live.running is None or live.running == spec)
    for facts in () if is_equal else VM_FIELDS:
        difference = field_difference(facts, spec, halves, vm_path(facts, spec))
        if difference is not None:
            found.append(difference)
            explained += [f"{TEMPLATE}.{path}" for path in facts.paths]
    for devices in () if is_equal else DEVICE_LISTS:
        for name, difference in _list_differences(devices, spec, live):
            found.append(difference)
            explained += [f"{where}[{name}]" for where in (devices.path, *devices.companions)]
    found += _foreign_differences(spec, live)
    found += _access_difference(wanted, live)
    if live.kept:
        found = [d for d in found if KeptField.of(d.path, d.before, d.after) not in live.kept]
    explained += [difference.path for difference in found]
    before = live.marks.applied if live.marks is not None else None
    return (*found, *recorded_only(before, wanted.applied, explained))


def vm_path(facts: FieldFacts, spec: DomainSpec) -> str:
    """Where the manifest says the field: as resolved, or its usual place."""
    if facts.paths[0].startswith(IN_XML):
        return facts.paths[0]
    usual = f"{TEMPLATE}.{facts.paths[0]}"
    group = facts.name.split(".")[0]
    origin = spec.origins.get(facts.name) or (spec.origins.get(group) if facts.name == "cpu.sockets" else None)
    return usual if origin is None or usual.startswith(f"{origin}.") else origin


def field_difference(facts: FieldFacts, wanted: Any, halves: Halves, path: str) -> Difference | None:
    """One field of one owner over both halves; None when it is as wanted. A half in which the owner is not there at all
    has no fields to differ in.
    """
    after = facts.value(wanted)
    stored = halves.stored is not None and not facts.same(facts.value(halves.stored), after)
    running = halves.running is not None and not facts.same(facts.value(halves.running), after)
    if not stored and not running:
        return None
    owner = halves.running if running else halves.stored
    verdict = facts.verdict(owner, wanted)
    if running and verdict.impact is Impact.NONE and not verdict.refused:
        if not stored:
            return None
        running = False
    return _difference(path, facts.show(facts.value(owner)), facts.show(after), stored, running, verdict, halves.is_on)


def _difference(
    path: str, before: Any, after: Any, stored: bool, running: bool, verdict: Verdict, is_on: bool = True
) -> Difference:
    """What does not touch the running guest costs nothing, whatever the field's verdict is for a running one."""
    impact, reason = verdict.impact, verdict.reason
    if not running and not verdict.refused:
        impact = Impact.NONE
        reason = STORED_ONLY if is_on and verdict.impact is not Impact.NONE else reason
    return Difference(
        path=path, before=before, after=after, impact=impact, reason=reason,
        stored=stored, running=running, refused=verdict.refused,
    )  # fmt: skip


def _list_differences(devices: DeviceList, spec: DomainSpec, live: LiveVm) -> Iterator[tuple[str, Difference]]:
    """(name, difference) for every item that is missing, surplus, or not as wanted."""
    wanted = _by_name(getattr(spec, devices.field))
    stored = _by_name(getattr(live.stored, devices.field)) if live.stored else {}
    running = _by_name(getattr(live.running, devices.field)) if live.running else {}
    is_on, was_defined = live.running is not None, live.stored is not None
    for name in dict.fromkeys((*wanted, *stored, *running)):
        path = f"{devices.path}[{name}]"
        if name not in wanted:
            item = running.get(name) or stored[name]
            verdict = devices.removed(item)
            yield name, _difference(path, summary_of(item), None, name in stored, name in running, verdict, is_on)
            continue
        item = wanted[name]
        missing_stored, missing_running = was_defined and name not in stored, is_on and name not in running
        if missing_stored or missing_running:
            verdict = devices.added(item)
            yield name, _difference(path, None, summary_of(item), missing_stored, missing_running, verdict, is_on)
        halves = Halves(stored.get(name), running.get(name), is_on, was_defined)
        for facts in devices.fields:
            difference = field_difference(facts, item, halves, item_path(facts, name, item))
            if difference is not None:
                yield name, _guarded(difference, facts, name, live)


def item_path(facts: FieldFacts, name: str, item: Any) -> str:
    """The manifest path of a device's field: the one that names the item's own binding, where several could."""
    binding = str(getattr(item, "binding", ""))
    fitting = next((path for path in facts.paths if binding and f".{binding}." in path), facts.paths[0])
    return f"{TEMPLATE}.{fitting.replace('[]', f'[{name}]')}"


def _guarded(difference: Difference, facts: FieldFacts, name: str, live: LiveVm) -> Difference:
    """A disk under a block job is left alone until the job has ended."""
    if name not in live.disk_jobs or facts.name != "source" or difference.refused:
        return difference
    reason = "a block job is at work on the disk"
    return Difference(
        path=difference.path, before=difference.before, after=difference.after, impact=Impact.NONE, reason=reason,
        stored=difference.stored, running=difference.running,
        refused=f"{reason}: it is reported and never re-pointed; let the job end",
    )  # fmt: skip


def _foreign_differences(spec: DomainSpec, live: LiveVm) -> Iterator[Difference]:
    """What stands in the domain and no manifest can say."""
    stored, running = frozenset(live.foreign_stored), frozenset(live.foreign_running)
    for place, text in sorted(stored | running):
        in_stored, in_running = (place, text) in stored, (place, text) in running
        if place == BALLOON_PLACE:
            in_stored = BALLOON_PLACE in dict(stored)
            if not in_running and BALLOON_PLACE in dict(running):
                continue
            half = live.running if in_running else live.stored
            if half is not None and half.memory_mib != spec.memory_mib:
                continue
            said = format_bytes(int(text) * KIB)
            path = spec.origins.get("memory_mib") or f"{TEMPLATE}.domain.memory.guest"
            verdict = Verdict(Impact.LIVE, "memory was taken from the guest through its balloon", LiveMeans.SET_MEMORY)
            after: Any = format_bytes(spec.memory_mib * MIB)
        else:
            path, said, after = f"{IN_XML}{place}", text, None
            verdict = Verdict(Impact.RESTART, "no manifest says this; it is taken out of the configuration")
        yield _difference(path, said, after, in_stored, in_running, verdict, live.running is not None)


def _access_difference(wanted: ResolvedVm, live: LiveVm) -> Iterator[Difference]:
    """Credentials that the guest's agent has to set; where no agent answers nothing can be done about them."""
    access = wanted.guest_access
    if access is None or live.running is None or not live.guest_agent or live.guest_access == access.digest:
        return
    before = f"digest:{live.guest_access}" if live.guest_access else None
    verdict = Verdict(Impact.LIVE, "set in the running guest through its agent")
    yield _difference(ACCESS_PATH, before, f"digest:{access.digest}", False, True, verdict)


def _by_name(items: Sequence[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}
