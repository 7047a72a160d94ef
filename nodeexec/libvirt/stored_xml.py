"""The XML that redefines a domain: as wanted, with everything kept that gitvirt will not take away."""

from __future__ import annotations

from nodeexec.libvirt import domain_xml
from nodeexec.libvirt.adopted import adoption_of
from nodeexec.libvirt.adopted_xml import changed_adopted
from nodeexec.libvirt.flavour import NOTHING_CARRIED, Flavour
from nodeexec.libvirt.marks import DomainMarks, to_metadata
from nodeexec.libvirt.naming import DeviceKind, alias_of
from nodeexec.libvirt.safe_xml import parse_xml, to_text
from reconciler.model.domain import DomainSpec
from reconciler.model.plan import Difference


def new_definition(spec: DomainSpec, host: Flavour, marks: DomainMarks) -> str:
    """The XML of a domain that is not there yet."""
    return domain_xml.build(spec, host, NOTHING_CARRIED, metadata=to_metadata(marks))


def changed_definition(
    spec: DomainSpec,
    host: Flavour,
    marks: DomainMarks,
    stored: str,
    differences: tuple[Difference, ...],
    *,
    running: str = "",
) -> str:
    """The XML of a domain that is there; an adopted one is changed only where it differs. Disks whose difference is refused (a hand-added one, one on a snapshot) stay
    exactly as the stored XML has them. What was plugged into the ``running`` guest keeps its place at the next boot.

    Raises:
        ValueError: the stored XML cannot be understood.
    """
    adoption = adoption_of(marks)
    if adoption is not None:
        return changed_adopted(spec, host, marks, stored, differences, adoption, running=running)
    kept = _refused_disks(differences)
    carried = domain_xml.carried_from(stored, running)
    text = domain_xml.build(spec, host, carried, metadata=to_metadata(marks))
    if not kept:
        return text
    root = parse_xml(text)
    devices = root.find("devices")
    if devices is None:
        return text
    declared = {disk.name for disk in spec.disks}
    for name in kept:
        raw = domain_xml.live_device_xml(stored, name, DeviceKind.DISK)
        if raw is None:
            continue
        if name in declared:
            alias = alias_of(DeviceKind.DISK, name)
            for disk in devices.findall("disk"):
                if disk.find(f"alias[@name='{alias}']") is not None:
                    devices.remove(disk)
        devices.append(parse_xml(raw))
    return to_text(root)


def _refused_disks(differences: tuple[Difference, ...]) -> tuple[str, ...]:
    """Names of the disks that stay as they are in the stored half."""
    names = []
    for difference in differences:
        if difference.refused and difference.stored:
            name = item_name(difference.path, "disks") or item_name(difference.path, "volumes")
            if name:
                names.append(name)
    return tuple(dict.fromkeys(names))


def item_name(path: str, list_name: str) -> str:
    """The name of the list item that a difference's path leads to (``…disks[root].bus`` → ``root``), else empty."""
    _, found, rest = path.partition(f".{list_name}[")
    return rest.partition("]")[0] if found else ""
