"""Which calls bring a running guest to its spec, in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from nodeexec.libvirt.adopted_xml import adopted_device
from nodeexec.libvirt.controllers import carried_from
from nodeexec.libvirt.domain_xml import device_xml, live_device_xml, parse
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.naming import DeviceKind
from nodeexec.spec_verdicts import LiveMeans
from reconciler.model.domain import Binding, DiskSpec, DomainSpec, InterfaceSpec
from reconciler.model.plan import Difference, Impact
from reconciler.model.quantity import KIB

_DEVICE = re.compile(
    r"spec\.template\.spec\.(domain\.devices\.disks|volumes|domain\.devices\.interfaces|networks)\[(.+?)\]"
)
T = TypeVar("T", DiskSpec, InterfaceSpec)

_DISK_LISTS = frozenset({"domain.devices.disks", "volumes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStep:
    """One call on the running domain. ``xml`` is the device for ATTACH, DETACH, UPDATE_DEVICE and CHANGE_MEDIA; ``amount``
    the vCPUs of SET_VCPUS or the KiB of SET_MEMORY. ``subject`` (``interface backup``) is for the journal.
    """

    means: LiveMeans
    subject: str
    xml: str = ""
    amount: int = 0


def live_steps(
    wanted: DomainSpec, live_xml: str, host: Flavour, differences: Sequence[Difference]
) -> tuple[LiveStep, ...]:
    """The calls for those of ``differences`` that are off in the running half, have impact ``live`` and are not refused.
    Detachments come first, and the guest is asked last for what it has to do itself. A device to detach is given as the
    live XML has it. Where ``live_xml`` has moved on since the comparison, what is done already gives no step.

    Raises:
        ValueError: ``live_xml`` is no domain's XML.
    """
    running = parse(live_xml).spec
    open_paths = [d.path for d in differences if d.running and d.impact is Impact.LIVE and not d.refused]
    touched = dict.fromkeys(
        (DeviceKind.DISK if match[1] in _DISK_LISTS else DeviceKind.INTERFACE, match[2])
        for match in map(_DEVICE.match, open_paths)
        if match
    )
    steps: list[LiveStep] = []
    for kind, name in touched:
        steps += _device_steps(kind, name, wanted, running, live_xml, host)
    steps.sort(key=lambda step: step.means is not LiveMeans.DETACH)
    if any(_is_vm_field(path, "cpu") for path in open_paths) and wanted.cpu.count > running.cpu.count:
        steps.append(LiveStep(means=LiveMeans.SET_VCPUS, subject="vcpus", amount=wanted.cpu.count))
    memory = wanted.origins.get("memory_mib", "spec.template.spec.domain.memory.guest")
    if memory in open_paths:
        amount = min(wanted.memory_mib, running.memory_mib) * KIB
        steps.append(LiveStep(means=LiveMeans.SET_MEMORY, subject="memory", amount=amount))
    return tuple(steps)


def _is_vm_field(path: str, name: str) -> bool:
    return path.startswith(f"spec.template.spec.domain.{name}.") or path.endswith(f".{name}")


def _device_steps(
    kind: DeviceKind, name: str, wanted: DomainSpec, running: DomainSpec, live_xml: str, host: Flavour
) -> list[LiveStep]:
    """What one disk or NIC needs."""
    new: DiskSpec | InterfaceSpec | None
    old: DiskSpec | InterfaceSpec | None
    if kind is DeviceKind.DISK:
        new, old, word = _named(wanted.disks, name), _named(running.disks, name), "disk"
    else:
        new, old, word = _named(wanted.interfaces, name), _named(running.interfaces, name), "interface"
    subject = f"{word} {name}"
    if new is None:
        xml = live_device_xml(live_xml, name, kind)
        return [LiveStep(means=LiveMeans.DETACH, subject=subject, xml=xml)] if xml else []
    xml = device_xml(new, wanted, host, carried_from(live_xml))
    if old is None:
        return [LiveStep(means=LiveMeans.ATTACH, subject=subject, xml=xml)]
    xml = adopted_device(live_xml, new, xml) or xml
    if isinstance(new, DiskSpec):
        is_drive = new.binding is Binding.CDROM
        return [LiveStep(means=LiveMeans.CHANGE_MEDIA, subject=subject, xml=xml)] if is_drive else []
    return [LiveStep(means=LiveMeans.UPDATE_DEVICE, subject=subject, xml=xml)]


def _named(items: tuple[T, ...], name: str) -> T | None:
    return next((item for item in items if item.name == name), None)
