"""`DomainSpec` to domain XML and back, by interpreting `domain_fields.TABLE`."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.flavour import NOTHING_CARRIED, Carried, Flavour
from reconciler.model.domain import DiskSpec, DomainSpec, InterfaceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDomain:
    """What one XML says. ``foreign`` is (path in the XML, text for people) of what no field of `DomainSpec` can say.
    ``machine`` is the versioned machine type, ``accelerator`` ``kvm`` or ``qemu``.
    """

    spec: DomainSpec
    foreign: tuple[tuple[str, str], ...]
    machine: str
    accelerator: str


def build(spec: DomainSpec, host: Flavour, carried: Carried = NOTHING_CARRIED, *, metadata: str = "") -> str:
    """The domain XML to define. ``metadata`` is the element of `marks.to_metadata`, so that ownership is part of the
    creating call. Deterministic: same input, same bytes.
    """
    raise NotImplementedError


def parse(xml: str) -> ParsedDomain:
    """Read a stored (inactive) or a running domain's XML.

    Raises:
        ValueError: it is no domain's XML.
    """
    raise NotImplementedError


def carried_from(xml: str) -> Carried:
    """What an edit of this domain has to keep. Use the stored XML for a redefinition, the live one for `device_xml`."""
    raise NotImplementedError


def device_xml(
    item: DiskSpec | InterfaceSpec, spec: DomainSpec, host: Flavour, carried: Carried = NOTHING_CARRIED
) -> str:
    """One device's element for attachDevice or updateDevice, with its alias. ``carried`` of the live XML gives a device
    that is there already its address and target, and a new disk a target that is free.
    """
    raise NotImplementedError


def live_device_xml(xml: str, name: str, kind: str) -> str | None:
    """The element of one device cut out of a domain's XML, for detachDevice. ``kind`` is ``disk`` or ``interface``;
    ``name`` as `parse` gave it, ``foreign:…`` included. None when there is no such device.
    """
    raise NotImplementedError
