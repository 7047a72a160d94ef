"""Where devices sit: controllers, PCI and drive addresses, disk targets; and what of it is read back and kept (law 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from nodeexec.libvirt.fields_disks import DISKS, TARGET_PREFIX
from nodeexec.libvirt.flavour import Carried, Flavour
from nodeexec.libvirt.naming import name_of
from nodeexec.libvirt.safe_xml import Element, parse_xml
from nodeexec.libvirt.xml_place import add, ensure, find, find_all, read
from nodeexec.spec_verdicts import same_machine
from reconciler.model.domain import DomainSpec

_SATA_PORTS = 6
_DRIVE_BUSES = ("sata", "scsi")
_WANDERING = frozenset({"pcie-to-pci-bridge", "pcie-root", "pci-root", "none"})
"""Controllers whose place is never carried: they stand behind the root ports, whose number may grow, or have none."""


def add_controllers(root: Element, spec: DomainSpec, host: Flavour, carried: Carried) -> None:
    """PCIe root ports for what is plugged in and for what may come, one SCSI controller so that disks can come at any
    time, and USB only when something needs it.
    """
    devices = ensure(root, "devices")
    needs_usb = any(disk.bus == "usb" for disk in spec.disks) or any(bus == "usb" for _, _, bus in spec.inputs)
    if not same_machine("pc", spec.machine):
        _add_root_ports(devices, spec, host, carried, needs_usb)
    add(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    if spec.agent_channel:
        add(devices, "controller", type="virtio-serial", index="0")
    add(devices, "controller", type="usb", index="0", model="qemu-xhci" if needs_usb else "none")


def _add_root_ports(devices: Element, spec: DomainSpec, host: Flavour, carried: Carried, needs_usb: bool) -> None:
    in_use = sum(disk.bus == "virtio" for disk in spec.disks) + len(spec.interfaces)
    in_use += sum(bus == "virtio" for _, _, bus in spec.inputs)
    in_use += 1 + sum((spec.agent_channel, spec.rng, spec.balloon, bool(spec.watchdog), needs_usb))
    ports = max(carried.ports, in_use + host.hotplug_ports)
    add(devices, "controller", type="pci", index="0", model="pcie-root")
    for index in range(1, ports + 1):
        add(devices, "controller", type="pci", index=str(index), model="pcie-root-port")
    if spec.watchdog:
        add(devices, "controller", type="pci", index=str(ports + 1), model="pcie-to-pci-bridge")


def place_devices(root: Element, carried: Carried) -> None:
    """Give every device the place it had, and new disks a target and a drive that are free."""
    _name_targets(root, carried)
    for key, element in _placed(root):
        address = carried.addresses.get(key)
        if address is not None and find(element, "address") is None and _fits(element, address):
            add(element, "address", **address)
    _place_drives(root, carried)


def carried_from(xml: str, live_xml: str = "") -> Carried:
    """What an edit of this domain has to keep: for a redefinition from the stored XML (and ``live_xml`` of the running
    guest, so that what was just plugged in keeps its place at the next boot), for `device_xml` from the live XML alone.

    Raises:
        ValueError: it is not XML.
    """
    carried = _carried(parse_xml(xml))
    if not live_xml:
        return carried
    running = _carried(parse_xml(live_xml))
    taken = {tuple(sorted(address.items())) for address in carried.addresses.values()}
    devices = {key for key in running.addresses if key.startswith("alias:")} - set(carried.addresses)
    new = {key: running.addresses[key] for key in devices}
    free = {key: address for key, address in new.items() if tuple(sorted(address.items())) not in taken}
    used = {target for _, target in carried.targets.values()}
    targets = {alias: place for alias, place in running.targets.items() if place[1] not in used}
    return Carried(
        machine=carried.machine,
        addresses={**free, **carried.addresses},
        targets={**targets, **carried.targets},
        sources={**running.sources, **carried.sources},
        ports=max(carried.ports, running.ports),
    )


def _carried(root: Element) -> Carried:
    addresses: dict[str, Mapping[str, str]] = {}
    for key, element in _placed(root):
        address = find(element, "address")
        if address is not None and address.get("type") in ("pci", "drive") and element.get("model") not in _WANDERING:
            addresses[key] = {str(name): str(value) for name, value in address.attrib.items()}
    targets: dict[str, tuple[str, str]] = {}
    sources: dict[str, tuple[str, str]] = {}
    for disk in find_all(root, "devices/disk"):
        alias = read(disk, "alias@name") or ""
        ours = name_of(alias, DISKS.kind) is not None
        key = alias if ours else DISKS.foreign_key(disk)
        targets[key] = (read(disk, "target@bus") or "", read(disk, "target@dev") or "")
        volume = read(disk, "source@volume")
        if ours and volume:
            sources[key] = (read(disk, "source@pool") or "", volume)
    ports = sum(1 for _ in find_all(root, "devices/controller[model=pcie-root-port]"))
    return Carried(
        machine=read(root, "os/type@machine") or "",
        addresses=addresses,
        targets=targets,
        sources=sources,
        ports=ports,
    )


def _placed(root: Element) -> Iterator[tuple[str, Element]]:
    """Each device with the key its place is carried under. Disks and NICs that gitvirt did not make have none."""
    devices = find(root, "devices")
    ordinal: dict[str, int] = {}
    for element in devices if devices is not None else ():
        tag, alias = str(element.tag), read(element, "alias@name") or ""
        if alias.startswith("ua-"):
            yield f"alias:{alias}", element
        elif tag == "controller":
            yield f"controller:{element.get('type')}:{element.get('index')}", element
        elif tag not in ("disk", "interface", "watchdog", "input"):
            yield f"{tag}:{ordinal.setdefault(tag, 0)}", element
            ordinal[tag] += 1


def _fits(element: Element, address: Mapping[str, str]) -> bool:
    """Whether a carried address is still of the kind that the device needs."""
    if element.get("model") in _WANDERING:
        return False
    bus = read(element, "target@bus") if element.tag == "disk" else None
    if bus in _DRIVE_BUSES:
        return address.get("type") == "drive"
    return bus != "usb" and address.get("type") == "pci"


def _name_targets(root: Element, carried: Carried) -> None:
    used = {target for _, target in carried.targets.values()}
    for disk in find_all(root, "devices/disk"):
        bus = read(disk, "target@bus") or "virtio"
        kept = carried.targets.get(read(disk, "alias@name") or "")
        prefix = TARGET_PREFIX.get(bus, "sd")
        if kept is not None and kept[0] == bus:
            target = kept[1]
        else:
            target = next(name for name in map(prefix.__add__, _letters()) if name not in used)
            used.add(target)
        ensure(disk, "target").set("dev", target)


def _letters() -> Iterator[str]:
    """a … z, aa, ab, …: disk targets as libvirt counts them."""
    for number in count(1):
        text, rest = "", number
        while rest:
            rest, letter = divmod(rest - 1, 26)
            text = chr(ord("a") + letter) + text
        yield text


def _place_drives(root: Element, carried: Carried) -> None:
    """Disks of one SATA or SCSI controller are told apart by their unit."""
    used = {
        (carried.targets[key.removeprefix("alias:")][0], address.get("controller"), address.get("unit"))
        for key, address in carried.addresses.items()
        if address.get("type") == "drive" and key.removeprefix("alias:") in carried.targets
    }
    for disk in find_all(root, "devices/disk"):
        bus, address = read(disk, "target@bus") or "", find(disk, "address")
        if bus not in _DRIVE_BUSES or address is not None:
            continue
        for number in count():
            controller, unit = divmod(number, _SATA_PORTS) if bus == "sata" else (0, number)
            place = (bus, str(controller), str(unit))
            if place not in used:
                used.add(place)
                add(disk, "address", type="drive", controller=place[1], bus="0", target="0", unit=place[2])
                break
