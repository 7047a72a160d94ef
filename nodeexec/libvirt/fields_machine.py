"""Rows for identity, firmware, features and the clock.

*Source*: libvirt's "Domain XML format": general metadata, BIOS bootloader, SMBIOS, hypervisor features, time keeping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.libvirt.codecs import LOWER, TEXT
from nodeexec.libvirt.safe_xml import Element
from nodeexec.libvirt.table import Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, ensure, find
from reconciler.model.domain import DomainSpec

_SPINLOCK_RETRIES = "4096"
_TB_CACHE_KIB = 32 * 1024
"""Emulation would let QEMU take up to 1 GB a guest for translated code."""

_TIMERS = {"hpet": "hpet", "hyperv": "hypervclock", "kvm": "kvmclock", "pit": "pit", "rtc": "rtc"}
_TIMER_NAMES = {theirs: ours for ours, theirs in _TIMERS.items()}

_HYPERV = {
    "evmcs": "evmcs",
    "frequencies": "frequencies",
    "ipi": "ipi",
    "reenlightenment": "reenlightenment",
    "relaxed": "relaxed",
    "reset": "reset",
    "runtime": "runtime",
    "spinlocks": "spinlocks",
    "synic": "synic",
    "synictimer": "stimer",
    "tlbflush": "tlbflush",
    "vapic": "vapic",
    "vendorid": "vendor_id",
    "vpindex": "vpindex",
}
_HYPERV_VALUES = {"spinlocks": "retries", "vendorid": "value"}


def read_firmware(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """A flash loader, or libvirt's own choice of one, is UEFI; anything else is the machine's BIOS."""
    loader, os_element = find(root, "os/loader"), find(root, "os")
    chosen = os_element is not None and os_element.get("firmware") == "efi"
    flash = loader is not None and loader.get("type") == "pflash"
    secure = loader is not None and loader.get("secure") == "yes"
    return {"bootloader": "efi" if chosen or flash else "bios", "secure_boot": secure}


def write_firmware(root: Element, spec: DomainSpec, writing: Writing) -> None:
    """libvirt copies the variables' template to the domain's own file at its first start."""
    if spec.bootloader != "efi":
        return
    build = writing.host.efi_secure if spec.secure_boot else writing.host.efi
    loader = add(ensure(root, "os"), "loader", build.code, readonly="yes", type="pflash")
    if spec.secure_boot:
        loader.set("secure", "yes")
    add(ensure(root, "os"), "nvram", template=build.variables)


def _state(element: Element | None) -> str | None:
    return None if element is None else element.get("state", "on")


def read_features(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """``acpi`` is always said; of the others what the XML says."""
    parent = find(root, "features")
    found: dict[str, str | None] = {"acpi": "off"}
    if parent is not None:
        apic = find(parent, "apic")
        found = {
            "acpi": "on" if find(parent, "acpi") is not None else "off",
            "apic": "on" if apic is not None else None,
            "apic.eoi": apic.get("eoi") if apic is not None else None,
            "kvm.hidden": _state(find(parent, "kvm/hidden")),
            "pvspinlock": _state(find(parent, "pvspinlock")),
            "smm": _state(find(parent, "smm")),
        }
    return {"features": tuple((name, setting) for name, setting in sorted(found.items()) if setting is not None)}


def write_features(root: Element, spec: DomainSpec, writing: Writing) -> None:
    """``acpi`` and ``apic`` have no "off" in the XML: they are left out."""
    parent = ensure(root, "features")
    settings = dict(spec.features)
    for name in ("acpi", "apic"):
        if settings.get(name) == "on":
            add(parent, name)
    if "apic.eoi" in settings and settings.get("apic") == "on":
        ensure(parent, "apic").set("eoi", settings["apic.eoi"])
    for name, path in (("kvm.hidden", "kvm/hidden"), ("pvspinlock", "pvspinlock"), ("smm", "smm")):
        if name in settings:
            ensure(parent, path).set("state", settings[name])
    if writing.host.accelerator != "kvm":
        add(ensure(parent, "tcg"), "tb-cache", str(_TB_CACHE_KIB), unit="KiB")


def read_hyperv(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """Each enlightenment with its state, or its value where it has one."""
    parent, found = find(root, "features/hyperv"), {}
    for name, tag in _HYPERV.items():
        element = find(parent, tag) if parent is not None else None
        if element is None:
            continue
        state = element.get("state", "on")
        value = element.get(_HYPERV_VALUES[name]) if name in _HYPERV_VALUES else None
        found[name] = value if value and state == "on" else state
        direct = find(element, "direct")
        if direct is not None:
            found[f"{name}.direct"] = direct.get("state", "on")
    return {"hyperv": tuple(sorted(found.items()))}


def write_hyperv(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """A vendor id without an id says nothing and is left out."""
    for name, setting in spec.hyperv:
        tag = _HYPERV.get(name)
        parent_name, _, child = name.partition(".")
        if child:
            ensure(root, f"features/hyperv/{_HYPERV[parent_name]}/{child}").set("state", setting)
        elif tag is not None and not (name == "vendorid" and setting in ("on", "off")):
            element = ensure(root, f"features/hyperv/{tag}")
            element.set("state", "off" if setting == "off" else "on")
            attribute = _HYPERV_VALUES.get(name)
            if attribute and setting != "off":
                element.set(attribute, _SPINLOCK_RETRIES if setting == "on" else setting)


def read_clock(root: Element, reading: Reading) -> Mapping[str, Any]:
    """A guest that sets its clock moves a running domain's adjustment; there the kept offset speaks."""
    clock = find(root, "clock")
    if clock is None:
        return {"clock.offset": "utc", "clock.timers": ()}
    match clock.get("offset", "utc"):
        case "variable" if reading.running and "clock" in reading.kept:
            offset = str(reading.kept["clock"])
        case "variable":
            offset = f"utc:{clock.get('adjustment', '0')}"
        case "timezone":
            offset = f"timezone:{clock.get('timezone', '')}"
        case other:
            offset = other
    timers = []
    for timer in clock.iterchildren("timer"):
        said = [f"present={timer.get('present', 'yes')}"]
        said += [f"{name}={timer.get(name)}" for name in ("tickpolicy", "track") if timer.get(name)]
        timers.append((_TIMER_NAMES.get(timer.get("name", ""), timer.get("name", "")), ",".join(said)))
    return {"clock.offset": offset, "clock.timers": tuple(sorted(timers))}


def write_clock(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """``utc:SECONDS`` is libvirt's variable clock on top of UTC."""
    kind, _, value = spec.clock.offset.partition(":")
    clock = add(root, "clock", offset="utc")
    if kind == "timezone":
        clock.set("offset", "timezone")
        clock.set("timezone", value)
    elif value:
        clock.set("offset", "variable")
        clock.set("adjustment", value)
        clock.set("basis", "utc")
    for name, setting in spec.clock.timers:
        timer = add(clock, "timer", name=_TIMERS.get(name, name))
        for part in filter(None, setting.split(",")):
            attribute, _, text = part.partition("=")
            timer.set(attribute, text)


IDENTITY_ROWS: tuple[Row | Joint, ...] = (
    Row(field="name", places=("name",), codec=TEXT),
    Row(field="uuid", places=("uuid", "sysinfo/system/entry[name=uuid]"), codec=LOWER),
    Row(field="serial", places=("sysinfo/system/entry[name=serial]",), codec=TEXT),
)

MACHINE_ROWS: tuple[Row | Joint, ...] = (
    Row(field="architecture", places=("os/type@arch",), codec=TEXT),
    Row(field="machine", places=("os/type@machine",), codec=TEXT),
    Joint(
        fields=("bootloader", "secure_boot"),
        read=read_firmware,
        write=write_firmware,
        knows=("os/loader", "os/nvram", "os/firmware"),
    ),
    Joint(
        fields=("features",),
        read=read_features,
        write=write_features,
        knows=(
            "features/acpi",
            "features/apic",
            "features/kvm/hidden",
            "features/pvspinlock",
            "features/smm",
            "features/tcg",
        ),
    ),
    Joint(
        fields=("hyperv",),
        read=read_hyperv,
        write=write_hyperv,
        knows=tuple(f"features/hyperv/{tag}" for tag in _HYPERV.values()),
    ),
    Joint(fields=("clock.offset", "clock.timers"), read=read_clock, write=write_clock, knows=("clock", "clock/timer")),
)
