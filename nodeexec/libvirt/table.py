"""The five shapes of a table row: what ties a field of the resolved spec to the domain XML.

Rows are frozen data; `domain_fields.TABLE` holds them, `domain_xml` interprets them. Impact, reason, means, manifest paths
and the wording of values do not depend on the engine: they are those of `nodeexec.spec_fields`, by the field's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeexec.libvirt.codecs import Codec
from nodeexec.libvirt.flavour import Carried, Flavour
from nodeexec.libvirt.naming import DeviceKind
from nodeexec.libvirt.safe_xml import Element
from reconciler.model.adoption import Adoption
from reconciler.model.domain import DomainSpec

FOREIGN_FIELDS = "(foreign)"
"""Key under which `Joint.read` gives what it found and no field can say: a tuple of (path, text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What a row may look at when it writes: the whole spec, the host it is for, and what was read back and is kept."""

    spec: DomainSpec
    host: Flavour
    carried: Carried


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a row may look at when it reads: the domain's name (of an adopted one that of its VM), the owner its marks name (empty without marks), its
    accelerator, whether this is the running half, and what gitvirt kept beside the XML.

    ``kept`` is JSON in the domain's metadata: what libvirt has no place for, or rewrites while the guest runs. The
    running half carries that of its start. ``adopted`` is how a domain that gitvirt did not make is the VM of a manifest.
    """

    domain: str
    owner: str
    accelerator: str
    running: bool
    kept: Mapping[str, Any]
    adopted: Adoption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field in one or more places of the XML. The first place is read; another that disagrees is reported as a
    foreign field. ``knows`` are further elements that belong to it.
    """

    field: str
    places: tuple[str, ...]
    codec: Codec
    knows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Several fields in one place, or one whose shape is no plain value. ``read`` gives the fields' values by name;
    ``write`` puts them in. ``knows`` are the elements that belong to it, as paths from the row's root.
    """

    fields: tuple[str, ...]
    read: Callable[[Element, Reading], Mapping[str, Any]]
    write: Callable[[Element, Any, Writing], None]
    """(element, the `DomainSpec` or the device's spec, context)."""
    knows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """A keyed list: one XML element an item, the key kept in ``<alias name="ua-KIND-NAME"/>``. ``foreign_key`` names an
    element that gitvirt did not make; ``knows`` are child elements that libvirt fills in.
    """

    list_field: str
    kind: DeviceKind
    element: str
    item: Callable[..., Any]
    rows: tuple[Row | Joint, ...]
    foreign_key: Callable[[Element], str]
    knows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """libvirt has no place for it. ``paths`` are manifest paths below ``spec`` (``[]`` is any item, a final ``*`` any
    subtree); it is compared with the last applied document. ``why`` says where it goes instead.
    """

    paths: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Known to KubeVirt, not honoured here. ``harmless`` ones are warnings. ``allowed`` are values that ask for nothing
    (``False``, an empty list), which are no problem.
    """

    paths: tuple[str, ...]
    reason: str
    hint: str = ""
    harmless: bool = False
    allowed: tuple[Any, ...] = field(default=(False, None, ""))


Shape = Row | Joint | Devices | Kept | Refused
