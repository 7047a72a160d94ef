"""Rows for the devices that a domain has at most one of: console, display, random numbers, balloon, agent, watchdog.

*Source*: libvirt's "Domain XML format": Devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodeexec.libvirt.codecs import NUMBER
from nodeexec.libvirt.naming import DeviceKind, alias_of, name_of
from nodeexec.libvirt.safe_xml import Element
from nodeexec.libvirt.table import FOREIGN_FIELDS, Joint, Reading, Row, Writing
from nodeexec.libvirt.xml_place import add, ensure, find, find_all
from nodeexec.spec_verdicts import DEFAULT_VIDEO
from reconciler.model.domain import DomainSpec

AGENT_CHANNEL = "org.qemu.guest_agent.0"
LOOPBACK = "127.0.0.1"
_BALLOON_STATISTICS_S = "10"
_VIRTIO_INPUT = {"virtio", "usb"}


def _surplus(root: Element, path: str, allowed: int = 1) -> tuple[tuple[str, str], ...]:
    """Foreign fields for more elements at ``path`` than gitvirt ever makes."""
    found = list(find_all(root, path))[allowed:]
    return tuple(
        (path, f"another {element.tag} ({element.get('type') or element.get('model') or 'plain'})") for element in found
    )


def read_console(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """The first serial port is the console."""
    there = find(root, "devices/serial") is not None
    return {"serial_console": there, FOREIGN_FIELDS: _surplus(root, "devices/serial")}


def write_console(root: Element, spec: DomainSpec, writing: Writing) -> None:
    """What the guest says is logged by the host, and is there after the guest has gone."""
    if not spec.serial_console:
        return
    devices = ensure(root, "devices")
    serial = add(devices, "serial", type="pty")
    if writing.host.console_log_directory:
        add(serial, "log", file=f"{writing.host.console_log_directory}/{spec.name}.log", append="on")
    add(serial, "target", type="isa-serial", port="0")
    add(add(devices, "console", type="pty"), "target", type="serial", port="0")


def read_display(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """A display that listens elsewhere than on loopback is not what gitvirt makes."""
    graphics, video = find(root, "devices/graphics"), find(root, "devices/video/model")
    foreign = [*_surplus(root, "devices/graphics"), *_surplus(root, "devices/video")]
    if graphics is not None and (graphics.get("type") != "vnc" or graphics.get("listen", LOOPBACK) != LOOPBACK):
        foreign.append(
            ("devices/graphics", f"{graphics.get('type')} on {graphics.get('listen', 'its default address')}")
        )
    model = video.get("type", "") if video is not None else "none"
    shown = graphics is not None
    default = DEFAULT_VIDEO if shown else "none"
    return {"graphics": shown, "video": "" if model == default else model, FOREIGN_FIELDS: tuple(foreign)}


def write_display(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """VNC on loopback only; without a display there is no video card either, unless one is asked for."""
    devices = ensure(root, "devices")
    if spec.graphics:
        graphics = add(devices, "graphics", type="vnc", port="-1", autoport="yes", listen=LOOPBACK)
        add(graphics, "listen", type="address", address=LOOPBACK)
    model = spec.video or (DEFAULT_VIDEO if spec.graphics else "none")
    add(add(devices, "video"), "model", type=model)


def read_rng(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """Whether the guest has a random number device."""
    return {"rng": find(root, "devices/rng") is not None, FOREIGN_FIELDS: _surplus(root, "devices/rng")}


def write_rng(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """Fed by the host's urandom."""
    if spec.rng:
        rng = add(ensure(root, "devices"), "rng", model="virtio")
        add(rng, "backend", "/dev/urandom", model="random")


def read_balloon(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """libvirt adds a balloon to a domain that says nothing."""
    balloon = find(root, "devices/memballoon")
    return {"balloon": balloon is not None and balloon.get("model") != "none"}


def write_balloon(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """Statistics come every few seconds."""
    balloon = add(ensure(root, "devices"), "memballoon", model="virtio" if spec.balloon else "none")
    if spec.balloon:
        add(balloon, "stats", period=_BALLOON_STATISTICS_S)


def read_channel(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """The channel of the guest agent; any other channel is foreign."""
    there, foreign = False, []
    for channel in find_all(root, "devices/channel"):
        target = find(channel, "target")
        name = target.get("name", "") if target is not None else ""
        if name == AGENT_CHANNEL and not there:
            there = True
        else:
            foreign.append(("devices/channel", f"another channel ({name or channel.get('type')})"))
    return {"agent_channel": there, FOREIGN_FIELDS: tuple(foreign)}


def write_channel(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """libvirt names the socket."""
    if spec.agent_channel:
        channel = add(ensure(root, "devices"), "channel", type="unix")
        add(channel, "target", type="virtio", name=AGENT_CHANNEL)


def read_inputs(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """PS/2 keyboard and mouse are part of the machine; others without a name are foreign."""
    inputs, foreign = [], []
    for element in find_all(root, "devices/input"):
        kind, bus = element.get("type", ""), element.get("bus", "")
        alias = find(element, "alias")
        name = name_of(alias.get("name", ""), DeviceKind.INPUT) if alias is not None else None
        if name is not None:
            inputs.append((name, kind, bus))
        elif bus in _VIRTIO_INPUT:
            foreign.append(("devices/input", f"another input ({kind} on {bus})"))
    return {"inputs": tuple(inputs), FOREIGN_FIELDS: tuple(foreign)}


def write_inputs(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """Each keeps its name in its alias."""
    for name, kind, bus in spec.inputs:
        element = add(ensure(root, "devices"), "input", type=kind, bus=bus)
        add(element, "alias", name=alias_of(DeviceKind.INPUT, name))


def read_watchdog(root: Element, _reading: Reading) -> Mapping[str, Any]:
    """The chipset's own watchdog is part of the machine."""
    watchdog = find(root, "devices/watchdog[model=i6300esb]")
    return {"watchdog": watchdog.get("action", "reset") if watchdog is not None else ""}


def write_watchdog(root: Element, spec: DomainSpec, _writing: Writing) -> None:
    """The only model there is for a guest on PCI."""
    if spec.watchdog:
        add(ensure(root, "devices"), "watchdog", model="i6300esb", action=spec.watchdog)


def _one(
    fields: tuple[str, ...],
    element: str,
    read: Callable[[Element, Reading], Mapping[str, Any]],
    write: Callable[[Element, Any, Writing], None],
) -> Joint:
    return Joint(fields=fields, read=read, write=write, knows=(f"devices/{element}",))


DEVICE_ROWS: tuple[Row | Joint, ...] = (
    Row(field="io_threads", places=("iothreads",), codec=NUMBER),
    _one(("serial_console",), "serial", read_console, write_console),
    _one(("agent_channel",), "channel", read_channel, write_channel),
    _one(("inputs",), "input", read_inputs, write_inputs),
    _one(("graphics", "video"), "graphics", read_display, write_display),
    _one(("watchdog",), "watchdog", read_watchdog, write_watchdog),
    _one(("balloon",), "memballoon", read_balloon, write_balloon),
    _one(("rng",), "rng", read_rng, write_rng),
)
