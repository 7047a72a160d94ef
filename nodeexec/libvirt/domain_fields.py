"""THE table: every field of a VM, and its place in libvirt's domain XML.

The builder and the parser (`domain_xml`), "not supported by this engine" (`support`) and ``docs/support.md`` come from it;
impacts and reasons are joined in by the field's name (`nodeexec.spec_fields`). A field is supported when it has a row.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodeexec.libvirt.fields_cpu import CPU_ROWS
from nodeexec.libvirt.fields_devices import DEVICE_ROWS
from nodeexec.libvirt.fields_disks import DISKS
from nodeexec.libvirt.fields_interfaces import INTERFACES
from nodeexec.libvirt.fields_machine import IDENTITY_ROWS, MACHINE_ROWS
from nodeexec.libvirt.fields_refused import KEPT, REFUSED
from nodeexec.libvirt.table import Devices, Joint, Kept, Row, Shape
from nodeexec.libvirt.xml_place import element_path
from nodeexec.spec_fields import DISK_FIELDS, INTERFACE_FIELDS, VM_FIELDS

TEMPLATE = "template.spec"

TABLE: tuple[Shape, ...] = (
    *IDENTITY_ROWS,
    *CPU_ROWS,
    *MACHINE_ROWS,
    DISKS,
    INTERFACES,
    *DEVICE_ROWS,
    *KEPT,
    *REFUSED,
)
"""In the order in which the XML is written."""

FIXED: tuple[tuple[str, str], ...] = (
    ("os/smbios@mode", "sysinfo"),
    ("sysinfo@type", "smbios"),
    ("sysinfo/system/entry[name=manufacturer]", "gitvirt"),
    ("on_poweroff", "destroy"),
    ("on_reboot", "restart"),
    ("on_crash", "destroy"),
)
"""Places that are the same for every VM. A guest that crashes ends, as in KubeVirt; what happens next is runStrategy's."""

SMBIOS = ("os/smbios", "sysinfo")
"""How places begin by which the guest is told who made its machine. An adopted one keeps its maker."""

FILLED_IN: tuple[str, ...] = (
    "metadata",
    "resource",
    "seclabel",
    "pm",
    "os/boot",
    "os/bootmenu",
    "os/bios",
    "features/vmport",
    "features/gic",
    "features/pmu",
    "devices/emulator",
    "devices/controller",
    "devices/console",
    "devices/video",
    "devices/audio",
    "devices/hub",
    "numatune",
    "cpu/mode",
)
"""Elements that libvirt adds by itself, or that say nothing about the VM."""


def field_rows() -> Iterator[Row | Joint]:
    """Rows of the VM's own fields."""
    return (shape for shape in TABLE if isinstance(shape, Row | Joint))


def device_lists() -> Iterator[Devices]:
    """The keyed lists."""
    return (shape for shape in TABLE if isinstance(shape, Devices))


def known_elements() -> frozenset[str]:
    """Every element of a domain that a row answers for or that libvirt fills in, with all parents."""
    known = {*FILLED_IN, *(element_path(place) for place, _ in FIXED)}
    known |= {f"devices/{devices.element}" for devices in device_lists()}
    for row in field_rows():
        known |= (
            {element_path(place) for place in row.places} | set(row.knows) if isinstance(row, Row) else set(row.knows)
        )
    return frozenset("/".join(path.split("/")[:depth]) for path in known for depth in range(1, path.count("/") + 2))


def known_children(devices: Devices) -> frozenset[str]:
    """Child elements of one device that a row answers for or that libvirt fills in."""
    known = set(devices.knows)
    for row in devices.rows:
        places = {element_path(place) for place in row.places} if isinstance(row, Row) else set()
        known |= places | set(row.knows)
    return frozenset(path.split("/")[0] for path in known)


def honoured_leaves() -> tuple[str, ...]:
    """Leaves of a VirtualMachine, below ``spec``, that a row or `Kept` answers for."""
    names = {name for row in field_rows() for name in fields_of(row)}
    by_list = {"disks": DISK_FIELDS, "interfaces": INTERFACE_FIELDS}
    facts = [entry for entry in VM_FIELDS if entry.name in names]
    for devices in device_lists():
        item_names = {name for row in devices.rows for name in fields_of(row)}
        facts += [entry for entry in by_list[devices.list_field] if entry.name in item_names]
    honoured = [f"{TEMPLATE}.{leaf}" for entry in facts for leaf in entry.honours]
    return (*honoured, *(path for shape in TABLE if isinstance(shape, Kept) for path in shape.paths))


def fields_of(row: Row | Joint) -> tuple[str, ...]:
    """The names of a row's fields."""
    return (row.field,) if isinstance(row, Row) else row.fields
