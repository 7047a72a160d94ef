"""The one place that knows libvirt's error numbers: what an error means, and what a person can do about it.

*Source*: ``virErrorNumber`` in libvirt's virterror.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import libvirt

from reconciler.model.outcome import Outcome, Result


class Fault(StrEnum):
    """What an error says about the request. ``LOST``: the answer did not come, so it may or may not have been done."""

    NOT_FOUND = "not-found"
    EXISTS = "exists"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    LOST = "lost"


_LOST = frozenset({libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_NO_CONNECT})
_NOT_FOUND = frozenset(
    {
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_NETWORK,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_STORAGE_VOL,
        libvirt.VIR_ERR_NO_DOMAIN_METADATA,
        libvirt.VIR_ERR_DEVICE_MISSING,
    }
)
_EXISTS = frozenset({libvirt.VIR_ERR_DOM_EXIST, libvirt.VIR_ERR_NETWORK_EXIST, libvirt.VIR_ERR_STORAGE_VOL_EXIST})
_PERMANENT = frozenset(
    {
        libvirt.VIR_ERR_XML_ERROR,
        libvirt.VIR_ERR_XML_DETAIL,
        libvirt.VIR_ERR_XML_INVALID_SCHEMA,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_NO_SUPPORT,
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_INVALID_ARG,
        libvirt.VIR_ERR_OPERATION_DENIED,
        libvirt.VIR_ERR_ACCESS_DENIED,
        libvirt.VIR_ERR_AUTH_FAILED,
    }
)
_ADVICE = {
    libvirt.VIR_ERR_NO_MEMORY: "free memory on the host, or ask for less",
    libvirt.VIR_ERR_RESOURCE_BUSY: "another operation on it has to end first",
    libvirt.VIR_ERR_OPERATION_TIMEOUT: "the guest or another operation did not answer in time",
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: "this QEMU or libvirt cannot do it; change the manifest or upgrade the host",
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: "this libvirt does not know the setting; change the manifest or upgrade the host",
    libvirt.VIR_ERR_ACCESS_DENIED: "run gitvirt as root, or give its user the libvirt group",
    libvirt.VIR_ERR_AUTH_FAILED: "run gitvirt as root, or give its user the libvirt group",
}
_TAKEN = re.compile(r'Failed to get (?:shared )?"\w+" lock\s+Is another process using the image \[([^\]]+)\]')
"""What QEMU says at the end of many lines about an image that another process holds. *Source*: QEMU's block/file-posix.c."""
RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A libvirt error in our words."""

    fault: Fault
    message: str

    @property
    def outcome(self) -> Outcome:
        """How a change ends that met this error."""
        match self.fault:
            case Fault.LOST:
                return Outcome(result=Result.UNKNOWN, reason=self.message, retry_after_s=1.0)
            case Fault.PERMANENT:
                return Outcome(result=Result.FAILED, reason=self.message)
            case Fault.EXISTS | Fault.NOT_FOUND:
                return Outcome(result=Result.CONFLICT, reason=self.message, retry_after_s=1.0)
        return Outcome(result=Result.RETRY, reason=self.message, retry_after_s=RETRY_AFTER_S)


class ApplyEndedError(Exception):
    """A step found that the change must end here; carries the outcome that says how and why."""

    def __init__(self, result: Result, reason: str, *, retry_after_s: float | None = None, done: float | None = None):
        super().__init__(reason)
        self.outcome = Outcome(result=result, reason=reason, retry_after_s=retry_after_s, done=done)


def translate(error: libvirt.libvirtError, doing: str) -> Translated:
    """What ``error`` means that came up while ``doing`` (``starting default_web``)."""
    code = error.get_error_code()
    text = (error.get_error_message() or str(error)).strip().rstrip(".")
    if (taken := _TAKEN.search(text)) is not None:
        message = f"{doing}: the disk {taken[1]} is open in another guest or program, which has to let go of it first"
        return Translated(fault=Fault.TRANSIENT, message=message)
    advice = _ADVICE.get(code, "")
    message = f"{doing}: {text}" + (f"; {advice}" if advice else "")
    return Translated(fault=_fault(code, error), message=message)


def fault_of(error: libvirt.libvirtError) -> Fault:
    """Only what kind of fault it is."""
    return _fault(error.get_error_code(), error)


def _fault(code: int | None, error: libvirt.libvirtError) -> Fault:
    if code in _LOST or (code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_error_domain() == libvirt.VIR_FROM_RPC):
        return Fault.LOST
    if code == libvirt.VIR_ERR_INTERNAL_ERROR and error.get_error_domain() == libvirt.VIR_FROM_RPC:
        return Fault.LOST
    if code in _NOT_FOUND:
        return Fault.NOT_FOUND
    if code in _EXISTS:
        return Fault.EXISTS
    if code in _PERMANENT:
        return Fault.PERMANENT
    return Fault.TRANSIENT
