"""Which calls bring a running guest to its spec, in order."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.flavour import Flavour
from nodeexec.spec_fields import LiveMeans
from reconciler.model.domain import DomainSpec
from reconciler.model.plan import Difference


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
    wanted: DomainSpec, live_xml: str, host: Flavour, differences: tuple[Difference, ...]
) -> tuple[LiveStep, ...]:
    """The calls for those of ``differences`` that are off in the running half, have impact ``live`` and are not refused.
    Detachments come first. A device to detach is given as the live XML has it.
    """
    raise NotImplementedError
