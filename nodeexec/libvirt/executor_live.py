"""Brings a running guest to its spec, call by call, and then looks whether it is there.

libvirt's detach answers before the guest has let go (and, when the guest's kernel is not up, answers "done" for nothing):
only the XML read afterwards says what happened. What is left is asked for again in a later cycle.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import libvirt

from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.live_steps import LiveStep, live_steps
from nodeexec.libvirt.safe_xml import parse_xml
from nodeexec.libvirt.steps import Steps
from nodeexec.spec_verdicts import LiveMeans
from reconciler.model.domain import DomainSpec
from reconciler.model.plan import Difference

_SETTLE_S = 1.0
_LOOK_EVERY_S = 0.03
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_BUSY = "in the process of unplug"


def change_running(
    handle: Any,
    wanted: DomainSpec,
    host: Flavour,
    differences: tuple[Difference, ...],
    steps: Steps,
    *,
    left_out: Collection[str] = (),
) -> tuple[str, ...]:
    """Carry out what can be done live; what the guest has not let go of yet (``interface backup``). What ``left_out`` names is not
    plugged in now.

    Raises:
        libvirt.libvirtError: libvirt refuses or did not answer.
        ValueError: the running XML cannot be understood.
    """
    pending: list[str] = []
    for step in live_steps(wanted, handle.XMLDesc(0), host, differences):
        if step.means is LiveMeans.DETACH:
            if not _detach(handle, step, steps):
                pending.append(step.subject)
        elif step.means is not LiveMeans.ATTACH or step.subject not in left_out:
            _call(handle, step, steps)
    return tuple(pending)


def _call(handle: Any, step: LiveStep, steps: Steps) -> None:
    match step.means:
        case LiveMeans.ATTACH:
            steps.do(f"attached {step.subject}", lambda: handle.attachDeviceFlags(step.xml, _LIVE))
        case LiveMeans.UPDATE_DEVICE:
            steps.do(f"changed {step.subject}", lambda: handle.updateDeviceFlags(step.xml, _LIVE))
        case LiveMeans.CHANGE_MEDIA:
            steps.do(f"changed media of {step.subject}", lambda: handle.updateDeviceFlags(step.xml, _LIVE))
        case LiveMeans.SET_VCPUS:
            steps.do(f"set {step.amount} vCPUs", lambda: handle.setVcpusFlags(step.amount, _LIVE))
        case LiveMeans.SET_MEMORY:
            steps.do(f"set memory to {step.amount} KiB", lambda: handle.setMemoryFlags(step.amount, _LIVE))


def _detach(handle: Any, step: LiveStep, steps: Steps) -> bool:
    """Ask the guest to let go and look for a moment whether it does. True when the device is gone."""
    alias = parse_xml(step.xml).find("alias")
    name = alias.get("name", "") if alias is not None else ""
    if not name:
        steps.do(f"detached {step.subject}", lambda: handle.detachDeviceFlags(step.xml, _LIVE))
        return True
    try:
        steps.do(f"asked the guest to release {step.subject}", lambda: handle.detachDeviceAlias(name, _LIVE))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_DEVICE_MISSING:
            return True
        if _BUSY not in str(error):
            raise
        steps.attempting = ""
    deadline = time.monotonic() + _SETTLE_S
    while f"<alias name='{name}'/>" in handle.XMLDesc(0):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_EVERY_S)
    steps.done.append(f"detached {step.subject}")
    return True
