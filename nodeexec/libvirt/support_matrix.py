"""``docs/support.md``, from the table: what each field of a VirtualMachine comes to on this engine."""

from __future__ import annotations

from collections.abc import Iterator

from nodeexec.libvirt.domain_fields import TABLE, device_lists, field_rows, fields_of
from nodeexec.libvirt.support_network import CNI_KEYS, HONOURED
from nodeexec.libvirt.support_storage import CLAIM, DATA_VOLUME, Supported
from nodeexec.libvirt.table import Devices, Joint, Kept, Refused, Row
from nodeexec.libvirt.xml_place import element_path
from nodeexec.spec_fields import DISK_FIELDS, INTERFACE_FIELDS, VM_FIELDS, FieldFacts

_HEAD = """# What the libvirt engine supports

Made from the table of fields (`nodeexec/libvirt/domain_fields.py`); a test holds the two together. Paths are below
`spec.template.spec` of a VirtualMachine, `[]` is any item of a list, a final `.*` everything below. A field that is in none
of these tables is an error (`field-not-supported`), so nothing in a manifest is ever ignored in silence.

## Fields of a VirtualMachine

| Field | Place in the domain XML |
| --- | --- |
"""


def support_matrix() -> str:
    """The page, in markdown; the same bytes for the same table."""
    parts = [_HEAD, *(f"| {field} | {place} |\n" for field, place in _rows())]
    parts.append(
        "\n## Honoured outside the domain XML\n\nPaths are below `spec`.\n\n| Field | What it does |\n| --- | --- |\n"
    )
    parts += [f"| {_code(shape.paths)} | {shape.why} |\n" for shape in TABLE if isinstance(shape, Kept)]
    refused = [shape for shape in TABLE if isinstance(shape, Refused)]
    parts.append("\n## Not supported\n\nPaths are below `spec`; each is an error.\n\n")
    parts += _refusals([shape for shape in refused if not shape.harmless])
    parts.append("\n## Without effect\n\nPaths are below `spec`; each is a warning.\n\n")
    parts += _refusals([shape for shape in refused if shape.harmless])
    parts += _storage("PersistentVolumeClaim", CLAIM)
    parts += _storage("DataVolume", DATA_VOLUME)
    parts += _networks()
    return "".join(parts)


def _rows() -> Iterator[tuple[str, str]]:
    vm = {facts.name: facts for facts in VM_FIELDS}
    for row in field_rows():
        yield from _row(row, vm, "")
    items = {"disks": DISK_FIELDS, "interfaces": INTERFACE_FIELDS}
    for devices in device_lists():
        yield from _device_rows(devices, {facts.name: facts for facts in items[devices.list_field]})


def _device_rows(devices: Devices, facts: dict[str, FieldFacts]) -> Iterator[tuple[str, str]]:
    for row in devices.rows:
        yield from _row(row, facts, f"devices/{devices.element}/")


def _row(row: Row | Joint, facts: dict[str, FieldFacts], parent: str) -> Iterator[tuple[str, str]]:
    """One line a row; a field without a manifest path (a VM's own name) has none."""
    leaves = [leaf for name in fields_of(row) if name in facts for leaf in facts[name].honours]
    places = row.places if isinstance(row, Row) else row.knows
    if leaves:
        yield _code(leaves), _code([f"{parent}{_shown(place)}" for place in places])


def _shown(place: str) -> str:
    path, at, attribute = place.partition("@")
    return f"{element_path(path)}{at}{attribute}"


def _refusals(refused: list[Refused]) -> Iterator[str]:
    yield "| Field | Why | Instead |\n| --- | --- | --- |\n"
    for shape in refused:
        allowed = [value for value in shape.allowed if value not in (False, None, "")]
        said = f" (`{allowed[0] if not isinstance(allowed[0], bool) else 'true'}` is fine)" if allowed else ""
        yield f"| {_code(shape.paths)} | {shape.reason}{said} | {shape.hint} |\n"


def _storage(kind: str, table: Supported) -> Iterator[str]:
    yield f"\n## {kind}\n\nPaths are below `spec`. Honoured: {_code(table.honoured, ', ')}.\n\n"
    yield from _refusals(list(table.refused))


def _networks() -> Iterator[str]:
    yield (
        "\n## NetworkAttachmentDefinition\n\nKeys are those of the CNI configuration in `spec.config`. "
        "Of several plugins the first is read; another type of plugin is an error.\n"
    )
    for plugin, keys in CNI_KEYS.items():
        yield f"\n`{plugin}`: honoured are {_code(HONOURED[plugin], ', ')}.\n\n| Key | | Why |\n| --- | --- | --- |\n"
        for entry in keys:
            weight = "without effect" if entry.refused.harmless else "not supported"
            yield f"| `{entry.key}` | {weight} | {entry.refused.reason} |\n"


def _code(names: list[str] | tuple[str, ...], separator: str = "<br>") -> str:
    return separator.join(f"`{name}`" for name in names)
