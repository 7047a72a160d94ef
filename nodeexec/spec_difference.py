"""Wanted against live, one object at a time: what every engine's ``compare`` answers.

Pure, and the same for each engine that can change a running guest in place. An engine hands in specs that it read back;
whatever its hypervisor fills in must be gone from them already.
"""

from __future__ import annotations

from nodeexec.network_difference import network_differences
from nodeexec.vm_difference import vm_differences
from nodeexec.volume_difference import volume_differences
from reconciler.model.live import LiveNetwork, LiveObject, LiveVm, LiveVolume
from reconciler.model.plan import Difference
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume


def compare(wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
    """Every field in which ``live`` is not as wanted, sorted by path; empty when nothing needs doing (`Engine.compare`).

    A VM's stored and running halves are compared apart: what only the stored half has wrong has impact ``none``, what
    only the running half has wrong waits for its means. A VM that is off has no running half: every difference is
    ``none`` and takes effect at its next start.

    Raises:
        TypeError: the two are not of one kind.
    """
    match wanted, live:
        case ResolvedVm(), LiveVm():
            found = vm_differences(wanted, live)
        case ResolvedVolume(), LiveVolume():
            found = volume_differences(wanted, live)
        case ResolvedNetwork(), LiveNetwork():
            found = network_differences(wanted, live)
        case _:
            raise TypeError(f"{type(wanted).__name__} and {type(live).__name__} are not of one kind")
    return tuple(sorted(found, key=lambda difference: difference.path))
