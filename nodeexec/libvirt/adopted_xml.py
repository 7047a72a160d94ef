"""The XML that redefines an adopted domain: as it stands, with only that changed which is not as wanted.

A domain that gitvirt made is built anew from its spec. One that it adopted holds things that no spec says (sound cards,
tuning, its own addresses), so there the XML is the base, and single places of it are taken from what would be built.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

from nodeexec.libvirt import domain_xml
from nodeexec.libvirt.adopted import adoption_in
from nodeexec.libvirt.domain_fields import FIXED, SMBIOS, device_lists, field_rows, fields_of
from nodeexec.libvirt.fields_devices import AGENT_CHANNEL
from nodeexec.libvirt.fields_disks import DISKS
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.marks import MARKS_URI, DomainMarks, to_metadata
from nodeexec.libvirt.naming import alias_of
from nodeexec.libvirt.safe_xml import Element, parse_xml, to_text
from nodeexec.libvirt.table import Devices, Joint, Row
from nodeexec.libvirt.xml_place import add, element_path, ensure, find, find_all, read, write
from nodeexec.spec_fields import VM_FIELDS
from nodeexec.vm_difference import DEVICE_LISTS, IN_XML, item_path, vm_path
from reconciler.model.adoption import Adoption
from reconciler.model.domain import DiskSpec, DomainSpec, InterfaceSpec
from reconciler.model.plan import Difference

_ALSO = {"graphics": ("devices/video",), "video": ("devices/video",), "serial_console": ("devices/console",)}
"""Elements that no row names, since libvirt fills them in, and that belong to a field all the same."""

_ATTRIBUTES = {
    "cpu.model": ("cpu@mode", "cpu@match", "cpu@check", "cpu@migratable"),
    "bootloader": ("os@firmware",),
}


def changed_adopted(
    spec: DomainSpec,
    host: Flavour,
    marks: DomainMarks,
    stored: str,
    differences: Collection[Difference],
    adoption: Adoption,
    *,
    running: str = "",
) -> str:
    """The stored XML with what ``differences`` say of the stored half put right. Refused ones, and all that was kept at
    adoption, stay. What was plugged into the ``running`` guest keeps its place.

    Raises:
        ValueError: the XML cannot be understood, or its UUID would have to change.
    """
    root = parse_xml(stored)
    carried = domain_xml.carried_from(stored, running)
    built = parse_xml(domain_xml.build(spec, host, carried, metadata=to_metadata(marks)))
    open_ones = [d for d in differences if d.stored and not d.refused]
    by_hand = [d for d in open_ones if d.path.startswith(IN_XML) and d.after is None]
    paths = {d.path for d in open_ones if d not in by_hand}
    for facts in VM_FIELDS:
        if vm_path(facts, spec) in paths:
            if facts.name == "uuid":
                raise ValueError("a domain keeps its UUID for life; write the one it has into firmware.uuid")
            _take_field(root, built, facts.name)
    for table in device_lists():
        _take_devices(root, built, table, spec, paths, adoption)
    for difference in by_hand:
        _take_out(root, difference)
    _put_metadata(root, built, f"{{{MARKS_URI}}}marks")
    return to_text(root)


def adopted_device(live: str, item: DiskSpec | InterfaceSpec, built: str) -> str | None:
    """The XML for updateDevice of an adopted device: as the running domain has it, alias included, with what differs
    taken from ``built``. None where the running domain is not adopted, or the device was plugged in by gitvirt.

    Raises:
        ValueError: it is not XML.
    """
    root = parse_xml(live)
    adoption = adoption_in(root)
    table = _table_of(item)
    if adoption is None:
        return None
    for element in find_all(root, f"devices/{table.element}"):
        if domain_xml.device_name(element, table, adoption) == item.name and not _is_ours(element):
            before = next(
                one for one in getattr(domain_xml.parse(live).spec, table.list_field) if one.name == item.name
            )
            facts = next(entry.fields for entry in DEVICE_LISTS if entry.field == table.list_field)
            names = {fact.name for fact in facts if not fact.same(fact.value(before), fact.value(item))}
            return to_text(_merged(element, parse_xml(built), table, names, item, adoption))
    return None


def _take_field(root: Element, built: Element, name: str) -> None:
    """One field of the VM as it would be built."""
    row = next((row for row in field_rows() if name in fields_of(row)), None)
    if isinstance(row, Row):
        for place in row.places:
            _take_place(root, built, place)
        for place, text in FIXED:
            if place.startswith(SMBIOS) and any(p.startswith("sysinfo") for p in row.places):
                write(root, place, text)
    elif isinstance(row, Joint):
        for path in (*row.knows, *_ALSO.get(name, ())):
            (_take_device if path.startswith("devices/") else _take_elements)(root, built, path)
    for place in _ATTRIBUTES.get(name, ()):
        _take_place(root, built, place)
    if name.startswith("cpu.model") or name == "cpu.features":
        _put_metadata(root, built, f"{{{domain_xml.KEPT_URI}}}kept")


def _take_place(root: Element, built: Element, place: str) -> None:
    """One attribute, or one element's text; what would not be built goes."""
    text = read(built, place)
    if text is not None:
        write(root, place, text)
        return
    path, _, attribute = place.partition("@")
    element = find(root, path)
    if element is not None:
        if attribute:
            element.attrib.pop(attribute, "")
        else:
            _remove(element)


def _take_elements(root: Element, built: Element, path: str) -> None:
    for element in list(find_all(root, path)):
        _remove(element)
    parent = element_path(path).rpartition("/")[0]
    for element in find_all(built, path):
        ensure(root, parent).append(deepcopy(element))


def _take_device(root: Element, built: Element, path: str) -> None:
    """A device that a domain has at most one of: it comes, goes, or is exchanged; others of its kind stay."""
    there = [element for element in find_all(root, path) if _is_the_one(element)]
    wanted = list(find_all(built, path))
    for element in there[:1]:
        _remove(element)
    for element in wanted:
        ensure(root, "devices").append(deepcopy(element))


def _is_the_one(element: Element) -> bool:
    """Whether it is the device that gitvirt's field is about, among those of its kind."""
    if element.tag == "channel":
        return read(element, "target@name") == AGENT_CHANNEL
    return element.tag != "input" or _is_ours(element)


def _take_devices(
    root: Element,
    built: Element,
    table: Devices,
    spec: DomainSpec,
    paths: Collection[str],
    adoption: Adoption,
) -> None:
    """Disks, or NICs: those that are missing come as built, surplus ones go, others change in the fields that differ."""
    lists = next(entry for entry in DEVICE_LISTS if entry.field == table.list_field)
    there = {
        domain_xml.device_name(element, table, adoption): element
        for element in find_all(root, f"devices/{table.element}")
    }
    wanted = {item.name: item for item in getattr(spec, table.list_field)}
    for name in dict.fromkeys((*wanted, *there)):
        whole = f"{lists.path}[{name}]"
        element, item = there.get(name), wanted.get(name)
        if item is None and element is not None and whole in paths:
            _remove(element)
        elif item is not None and element is None and whole in paths:
            ensure(root, "devices").append(deepcopy(_built_device(built, table, name)))
        elif item is not None and element is not None:
            names = {facts.name for facts in lists.fields if item_path(facts, name, item) in paths}
            if names:
                merged = _merged(element, _built_device(built, table, name), table, names, item, adoption)
                ensure(root, "devices").replace(element, merged)


def _built_device(built: Element, table: Devices, name: str) -> Element:
    alias = alias_of(table.kind, name)
    return next(e for e in find_all(built, f"devices/{table.element}") if read(e, "alias@name") == alias)


def _merged(
    element: Element,
    built: Element,
    table: Devices,
    names: Collection[str],
    item: DiskSpec | InterfaceSpec,
    adoption: Adoption,
) -> Element:
    """A device as it is, with the fields ``names`` as they would be built."""
    merged = deepcopy(element)
    merged.tail = None
    for row in table.rows:
        if not set(fields_of(row)) & set(names):
            continue
        if isinstance(row, Row):
            for place in row.places:
                _take_place(merged, built, place)
        elif "source" in row.fields or "network" in row.fields:
            _point(merged, built, item, adoption)
        elif "dedicated_io_thread" in row.fields:
            _take_place(merged, built, "driver@iothread")
        else:
            for path in row.knows:
                _take_elements(merged, built, path)
    return merged


def _point(merged: Element, built: Element, item: DiskSpec | InterfaceSpec, adoption: Adoption) -> None:
    """Another source, or network. A claim that was adopted is where it was found."""
    for path in ("source", "backingStore", "virtualport"):
        for element in list(find_all(merged, path)):
            _remove(element)
    merged.set("type", built.get("type", ""))
    source = find(built, "source")
    text = next((t for t, claim in adoption.claims.items() if isinstance(item, DiskSpec) and claim == item.source), "")
    if text:
        kind, _, where = text.partition(" ")
        merged.set("type", kind)
        pool, _, volume = where.partition("/")
        add(merged, "source", **({"pool": pool, "volume": volume} if kind == "volume" else {"file": where}))
    elif source is not None:
        merged.append(deepcopy(source))
    if isinstance(item, DiskSpec):
        _take_place(merged, built, "driver@type")


def _take_out(root: Element, difference: Difference) -> None:
    """Take out what somebody added by hand: the elements without which the XML does not say it any more."""
    place = difference.path.removeprefix(IN_XML)
    fixed = dict(FIXED).get(place)
    if fixed is not None:
        write(root, place, fixed)
        return
    for element in reversed(list(find_all(root, place) if "[" not in place and "@" not in place else ())):
        parent = element.getparent()
        if parent is None:
            continue
        index = parent.index(element)
        parent.remove(element)
        if (place, difference.before) not in domain_xml.parse(to_text(root)).foreign:
            return
        parent.insert(index, element)


def _put_metadata(root: Element, built: Element, tag: str) -> None:
    """gitvirt's own part of the metadata, in the defining call; other people's stays."""
    metadata = ensure(root, "metadata")
    for element in metadata.findall(tag):
        metadata.remove(element)
    metadata.extend(deepcopy(element) for element in built.iterfind(f"metadata/{tag}"))


def _is_ours(element: Element) -> bool:
    return (read(element, "alias@name") or "").startswith("ua-")


def _table_of(item: DiskSpec | InterfaceSpec) -> Devices:
    return DISKS if isinstance(item, DiskSpec) else next(t for t in device_lists() if t is not DISKS)


def _remove(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
