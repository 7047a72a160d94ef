"""`DomainSpec` to domain XML and back, by interpreting `domain_fields.TABLE`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from nodeexec.libvirt.adopted import adoption_in
from nodeexec.libvirt.controllers import add_controllers, carried_from, place_devices
from nodeexec.libvirt.domain_fields import (
    FIXED,
    SMBIOS,
    device_lists,
    field_rows,
    known_children,
    known_elements,
)
from nodeexec.libvirt.fields_disks import DISKS
from nodeexec.libvirt.fields_interfaces import INTERFACES
from nodeexec.libvirt.flavour import NOTHING_CARRIED, Carried, Flavour
from nodeexec.libvirt.marks import MARKS_PREFIX, MARKS_URI
from nodeexec.libvirt.naming import FOREIGN, DeviceKind, alias_of, domain_name, name_of
from nodeexec.libvirt.safe_xml import Element, parse_xml, to_text
from nodeexec.libvirt.table import FOREIGN_FIELDS, Devices, Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, ensure, find_all, read, write
from nodeexec.spec_verdicts import same_machine
from reconciler.model.adoption import Adoption
from reconciler.model.domain import ClockSpec, CpuSpec, DiskSpec, DomainSpec, InterfaceSpec, ScratchSource

__all__ = ["ParsedDomain", "build", "carried_from", "device_xml", "live_device_xml", "parse"]

KEPT_URI = "https://gitvirt.io/xmlns/1/kept"
KEPT_PREFIX = "gitvirt-kept"
"""Metadata of its own, so that writing marks never touches it: what libvirt has no place for, as JSON."""

_KNOWN = known_elements()
_KNOWN_CHILDREN = {devices.list_field: known_children(devices) for devices in device_lists()}

Foreign = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDomain:
    """What one XML says. ``foreign`` is (path in the XML, text for people) of what no field of `DomainSpec` can say.
    ``machine`` is the versioned machine type, ``accelerator`` ``kvm`` or ``qemu``. ``keeps_cpu`` says that the CPU model is
    the one that gitvirt wrote down, not what libvirt made of it for this host.
    """

    spec: DomainSpec
    foreign: Foreign
    machine: str
    accelerator: str
    keeps_cpu: bool = False


def build(spec: DomainSpec, host: Flavour, carried: Carried = NOTHING_CARRIED, *, metadata: str = "") -> str:
    """The domain XML to define. ``metadata`` is the element of `marks.to_metadata`, so that ownership is part of the
    creating call. Deterministic: same input, same bytes.

    Raises:
        ValueError: the spec holds something foreign, which is only ever read and never built.
    """
    writing = Writing(spec=spec, host=host, carried=carried)
    root = etree.Element("domain", {"type": host.accelerator})
    for row in field_rows():
        write_row(root, row, spec, writing)
    if carried.machine and same_machine(spec.machine, carried.machine):
        write(root, "os/type@machine", carried.machine)
    write(root, "os/type", "hvm")
    for place, text in FIXED:
        write(root, place, text)
    _write_metadata(root, spec, metadata)
    devices = ensure(root, "devices")
    if host.emulator:
        add(devices, "emulator", host.emulator)
    for table in device_lists():
        for item in getattr(spec, table.list_field):
            devices.append(_device(table, item, writing))
    add_controllers(root, spec, host, carried)
    place_devices(root, carried)
    return to_text(_ordered(root))


_ORDER = ("name", "uuid", "metadata", "memory", "currentMemory", "memoryBacking", "vcpu", "iothreads", "sysinfo", "os")


def _ordered(root: Element) -> Element:
    """Identity first and devices last, for the reader."""
    rank = {tag: index for index, tag in enumerate(_ORDER)} | {"devices": 99}
    root[:] = sorted(root, key=lambda element: rank.get(str(element.tag), 50))
    return root


def write_row(element: Element, row: Row | Joint, owner: Any, writing: Writing) -> None:
    """Put one row's fields of ``owner`` (the spec, or a device's) into its element."""
    if isinstance(row, Joint):
        row.write(element, owner, writing)
        return
    text = row.codec.encode(getattr(owner, row.field))
    if text is not None:
        for place in row.places:
            write(element, place, text)


def _device(table: Devices, item: DiskSpec | InterfaceSpec, writing: Writing) -> Element:
    element = etree.Element(table.element)
    for row in table.rows:
        write_row(element, row, item, writing)
    add(element, "alias", name=alias_of(table.kind, item.name))
    return element


def _write_metadata(root: Element, spec: DomainSpec, marks: str) -> None:
    """Marks as handed in, and what is kept beside the XML."""
    parent = ensure(root, "metadata")
    if marks:
        given = parse_xml(marks)
        element = etree.SubElement(parent, f"{{{MARKS_URI}}}marks", None, {MARKS_PREFIX: MARKS_URI})
        for name, value in given.attrib.items():
            element.set(name, value)
        element.text = given.text
    kept: dict[str, Any] = {"cpu": {"model": spec.cpu.model, "features": [list(pair) for pair in spec.cpu.features]}}
    if spec.clock.offset.startswith("utc:"):
        kept["clock"] = spec.clock.offset
    scratch = {disk.name: disk.source.capacity_bytes for disk in spec.disks if isinstance(disk.source, ScratchSource)}
    if scratch:
        kept["scratch"] = scratch
    element = etree.SubElement(parent, f"{{{KEPT_URI}}}kept", None, {KEPT_PREFIX: KEPT_URI})
    element.text = json.dumps(kept, sort_keys=True, separators=(",", ":"))


def parse(xml: str, adopted: Adoption | None = None) -> ParsedDomain:
    """Read a stored (inactive) or a running domain's XML. ``adopted`` reads it as if it were adopted so; else its marks
    say whether it is.

    Raises:
        ValueError: it is no domain's XML.
    """
    root = parse_xml(xml)
    if root.tag != "domain":
        raise ValueError(f"<{root.tag}> is no domain")
    accelerator = root.get("type", "")
    marks = root.find(f"metadata/{{{MARKS_URI}}}marks")
    adopted = adopted or adoption_in(root)
    reading = Reading(
        domain=domain_name(adopted.key) if adopted is not None else read(root, "name") or "",
        owner=marks.get("owner", "") if marks is not None else "",
        accelerator=accelerator,
        running=root.get("id") is not None,
        kept=_kept(root),
        adopted=adopted,
    )
    foreign: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    for row in field_rows():
        values |= _read_row(root, row, reading, foreign)
    for table in device_lists():
        values[table.list_field] = _read_devices(root, table, reading, foreign)
    _foreign_elements(root, "", foreign)
    foreign += [
        (place, f"{read(root, place) or 'nothing'} instead of {text}")
        for place, text in FIXED
        if read(root, place) != text and not (adopted and place.startswith(SMBIOS))
    ]
    return ParsedDomain(
        spec=_assembled(values),
        foreign=tuple(sorted(set(foreign))),
        machine=values["machine"],
        accelerator=accelerator,
        keeps_cpu="cpu" in reading.kept,
    )


def _read_row(
    element: Element, row: Row | Joint, reading: Reading, foreign: list[tuple[str, str]]
) -> Mapping[str, Any]:
    """The row's fields; what its other places say otherwise is foreign."""
    if isinstance(row, Joint):
        found = dict(row.read(element, reading))
        foreign.extend(found.pop(FOREIGN_FIELDS, ()))
        return found
    first = read(element, row.places[0])
    for other in row.places[1:]:
        said = read(element, other)
        if said is not None and row.codec.decode(said) != row.codec.decode(first):
            foreign.append((other, said))
    return {row.field: row.codec.decode(first)}


def _read_devices(
    root: Element, table: Devices, reading: Reading, foreign: list[tuple[str, str]]
) -> tuple[DiskSpec | InterfaceSpec, ...]:
    items = []
    for element in find_all(root, f"devices/{table.element}"):
        name = device_name(element, table, reading.adopted)
        values: dict[str, Any] = {"name": name}
        for row in table.rows:
            values |= _read_row(element, row, reading, foreign)
        for child in element:
            if str(child.tag) not in _KNOWN_CHILDREN[table.list_field]:
                foreign.append((f"devices/{table.element}[{name}]/{child.tag}", f"a hand-made <{child.tag}>"))
        items.append(table.item(**values))
    return tuple(items)


def device_name(element: Element, table: Devices, adopted: Adoption | None) -> str:
    """The name in the alias; of a device that was adopted the one it was given, of any other ``foreign:…``."""
    name = name_of(read(element, "alias@name") or "", table.kind)
    if name is not None:
        return name
    foreign = table.foreign_key(element)
    if adopted is None:
        return foreign
    given = adopted.disks if table.kind is DeviceKind.DISK else adopted.interfaces
    return given.get(foreign.removeprefix(FOREIGN), foreign)


def _foreign_elements(element: Element, path: str, foreign: list[tuple[str, str]]) -> None:
    """Elements that no row knows. An element whose children no row names is known with all it holds."""
    for child in element:
        where = f"{path}/{child.tag}" if path else str(child.tag)
        if where not in _KNOWN:
            kind = child.get("type") or child.get("model") or child.get("name") or ""
            foreign.append((where, f"a hand-made <{child.tag}>{' (' + kind + ')' if kind else ''}"))
        elif any(known.startswith(f"{where}/") for known in _KNOWN):
            _foreign_elements(child, where, foreign)


def _kept(root: Element) -> Mapping[str, Any]:
    """What gitvirt kept beside the XML; damaged, it is as if it were not there and the XML speaks alone."""
    element = next(root.iter(f"{{{KEPT_URI}}}kept"), None)
    try:
        kept = json.loads((element.text or "{}") if element is not None else "{}")
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _assembled(values: Mapping[str, Any]) -> DomainSpec:
    nested: dict[str, dict[str, Any]] = {"cpu": {}, "clock": {}}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        group, _, member = name.partition(".")
        if member:
            nested[group][member] = value
        else:
            plain[name] = value
    return DomainSpec(cpu=CpuSpec(**nested["cpu"]), clock=ClockSpec(**nested["clock"]), **plain)


def device_xml(
    item: DiskSpec | InterfaceSpec, spec: DomainSpec, host: Flavour, carried: Carried = NOTHING_CARRIED
) -> str:
    """One device's element for attachDevice or updateDevice, with its alias. ``carried`` of the live XML gives a device
    that is there already its address and target, and a new disk a target that is free.

    Raises:
        ValueError: the device is foreign, which is only ever read and never built.
    """
    table = DISKS if isinstance(item, DiskSpec) else INTERFACES
    root = etree.Element("domain")
    element = _device(table, item, Writing(spec=spec, host=host, carried=carried))
    ensure(root, "devices").append(element)
    place_devices(root, carried)
    return to_text(element)


def live_device_xml(xml: str, name: str, kind: DeviceKind) -> str | None:
    """The element of one device cut out of a domain's XML, for detachDevice. ``name`` as `parse` gave it, ``foreign:…``
    included. None when there is no such device.

    Raises:
        ValueError: it is not XML.
    """
    table = DISKS if kind is DeviceKind.DISK else INTERFACES
    root = parse_xml(xml)
    adopted = adoption_in(root)
    for element in find_all(root, f"devices/{table.element}"):
        if device_name(element, table, adopted) == name:
            element.tail = None
            return to_text(element)
    return None
