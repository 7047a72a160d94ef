"""What this engine cannot honour in a valid manifest: `Engine.check`.

A VirtualMachine is checked against the table: a leaf that no row, `Kept` or `Refused` names is not supported, so that
nothing in a manifest is ever ignored in silence. Claims, DataVolumes and networks have short tables of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from nodeexec.libvirt.domain_fields import TABLE, honoured_leaves
from nodeexec.libvirt.leaves import Leaf, could_hold, fits, leaves_of, root_of
from nodeexec.libvirt.support_network import network_problems
from nodeexec.libvirt.support_refusal import refusal
from nodeexec.libvirt.support_storage import CLAIM, DATA_VOLUME, Supported
from nodeexec.libvirt.table import Refused
from reconciler.model.document import Document, FieldPath
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

_UNKNOWN = Refused(
    paths=(), reason="this engine has no place for it", hint="take it out; docs/support.md lists what is supported"
)
_NO_XML = Refused(paths=(), reason="the text holds a character that a domain's XML cannot carry", hint="take it out")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""*Source*: XML 1.0, production [2] Char."""

_VM = Supported(honoured=honoured_leaves(), refused=tuple(shape for shape in TABLE if isinstance(shape, Refused)))
_TABLES = {"VirtualMachine": _VM, "PersistentVolumeClaim": CLAIM, "DataVolume": DATA_VOLUME}
_MAX_TOLD = 100
_THREAD_BUSES = frozenset({"virtio"})


def check(document: Document) -> tuple[Problem, ...]:
    """Problems ``field-not-supported`` (error) and ``field-without-effect`` (warning), in the order of the document."""
    found: list[Problem] = []
    if document.key.kind in _TABLES:
        found += _leaf_problems(document)
    if document.key.kind == "VirtualMachine":
        found += _thread_problems(document)
    if document.key.kind == "NetworkAttachmentDefinition":
        found += network_problems(document)
    return tuple(found)


def _leaf_problems(document: Document) -> Iterator[Problem]:
    seen: set[FieldPath] = set()
    untold = 0
    for leaf in leaves_of(document.spec):
        verdict = judged(leaf, document.key.kind) or _unwritable(leaf, document.key.kind)
        if verdict is None or verdict[1] in seen:
            continue
        seen.add(verdict[1])
        if len(seen) <= _MAX_TOLD:
            yield refusal(document, ("spec", *verdict[1]), verdict[0])
        else:
            untold += not verdict[0].harmless
    if untold:
        yield problem("problems-untold", document.place(), f"and {untold} more fields", object=document.key)


def judged(leaf: Leaf, kind: str) -> tuple[Refused, FieldPath] | None:
    """The refusal that a leaf of a VirtualMachine, PersistentVolumeClaim or DataVolume meets, and where; None when it is
    honoured or asks for nothing.
    """
    if leaf.value is None:
        return None
    ruling = _ruling(kind, leaf.name)
    if ruling is None:
        return None
    refused, pattern = ruling
    # An empty list is none; within something that is refused, that is there all the same.
    if leaf.asks_for_nothing and (refused is _UNKNOWN or root_of(leaf, pattern) == leaf.path):
        return None
    if isinstance(leaf.value, Mapping):
        if refused is _UNKNOWN and any(could_hold(leaf.name, known) for known in _TABLES[kind].patterns):
            return None
    elif leaf.value in refused.allowed:
        return None
    return refused, root_of(leaf, pattern)


def _unwritable(leaf: Leaf, kind: str) -> tuple[Refused, FieldPath] | None:
    """The refusal of a text that no XML can carry. What goes onto a cloud-init disk never comes into the XML."""
    text = leaf.value
    if kind != "VirtualMachine" or not isinstance(text, str) or text.isprintable() or ".cloudInit" in leaf.name:
        return None
    return (_NO_XML, leaf.path) if _NOT_IN_XML.search(text) else None


@lru_cache(maxsize=4096)
def _ruling(kind: str, name: str) -> tuple[Refused, str] | None:
    """What the table says of a leaf's name, whatever its value: the same few hundred names come in every manifest."""
    table = _TABLES[kind]
    if any(fits(name, pattern) for pattern in table.honoured):
        return None
    for refused in table.refused:
        for pattern in refused.paths:
            if fits(name, pattern):
                return refused, pattern
    return _UNKNOWN, name


def _thread_problems(document: Document) -> Iterator[Problem]:
    """Only virtio disks can have an I/O thread to themselves."""
    path = ("spec", "template", "spec", "domain", "devices", "disks")
    node: Any = document.body
    for part in path:
        node = node.get(part) or {}
    for index, disk in enumerate(node):
        bus = (disk.get("disk") or {}).get("bus") or "sata"
        if disk.get("dedicatedIOThread") and (disk.get("cdrom") is not None or bus not in _THREAD_BUSES):
            refused = Refused(
                paths=(),
                reason="only a disk on the virtio bus has an I/O thread of its own",
                hint="set disk.bus: virtio",
            )
            yield refusal(document, (*path, index, "dedicatedIOThread"), refused)
