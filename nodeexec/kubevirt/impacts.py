"""What a change of each field of a VM costs under KubeVirt: its live-update rules as a table. Pure.

KubeVirt itself decides when the change is applied; the table tells beforehand what it will decide.

*Source*: virt-controller's rules for ``RestartRequired``, CPU and memory hotplug, declared volumes and NICs, node placement and
volume migration, as of KubeVirt 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from nodeexec.kubevirt import impacts_capacity, impacts_devices
from nodeexec.kubevirt.circumstances import AT_START, Circumstances, Verdict, live, restart
from nodeexec.kubevirt.leaves import Unlike
from reconciler.model.plan import Impact

Judge = Callable[[Unlike, Circumstances], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Fields whose path matches, and what judges a change of them."""

    pattern: re.Pattern[str]
    judge: Judge = field(repr=False)


def _row(pattern: str, judge: Judge) -> Row:
    return Row(pattern=re.compile(pattern), judge=judge)


def _none(reason: str) -> Judge:
    def judge(one: Unlike, around: Circumstances) -> Verdict:
        del one, around
        return Verdict(Impact.NONE, reason)

    return judge


def _placement(one: Unlike, around: Circumstances) -> Verdict:
    del one
    return around.why_staged() or live("where the guest may run from its next move on")


def _size(one: Unlike, around: Circumstances) -> Verdict:
    del one, around
    return restart(
        "takes effect at a restart, but for more sockets and memory, which KubeVirt plugs in as if the VM said them itself"
    )


def _power(one: Unlike, around: Circumstances) -> Verdict:
    del around
    if one.after in ("Halted", False):
        return Verdict(Impact.RESTART, "KubeVirt stops the guest", is_power=True)
    return Verdict(Impact.LIVE, "KubeVirt carries the run strategy out", is_power=True)


_T = r"^spec\.template\.spec\."
_DEVICES = rf"{_T}domain\.devices\."
TABLE: tuple[Row, ...] = (
    _row(rf"{_T}domain\.cpu\.sockets$", impacts_capacity.sockets),
    _row(rf"{_T}domain\.memory\.guest$", impacts_capacity.memory),
    _row(rf"{_DEVICES}interfaces\[[^\]]+\]$", impacts_devices.nic),
    _row(rf"{_DEVICES}interfaces\[[^\]]+\]\.state$", impacts_devices.nic_state),
    _row(rf"{_T}networks\[[^\]]+\]$", impacts_devices.network),
    _row(rf"{_T}networks\[[^\]]+\]\.multus\.networkName$", impacts_devices.network_name),
    _row(rf"{_DEVICES}disks\[[^\]]+\]$", impacts_devices.disk),
    _row(rf"{_T}volumes\[[^\]]+\]$", impacts_devices.volume),
    _row(rf"{_T}volumes\[[^\]]+\]\.(persistentVolumeClaim|dataVolume)\b", impacts_devices.volume_content),
    _row(rf"{_T}(nodeSelector|affinity|tolerations)\b", _placement),
    _row(r"^spec\.instancetype\b", _size),
    _row(r"^spec\.template\.metadata\.", _none("KubeVirt asks for no restart: the instance has them from its next start on")),
    _row(r"^spec\.(runStrategy|running)$", _power),
    _row(r"^spec\.(updateVolumesStrategy|dataVolumeTemplates)\b", _none("not part of the guest")),
    _row(r"^metadata\.", _none("labels and annotations of the object")),
)  # fmt: skip


def impact_of(one: Unlike, around: Circumstances) -> Verdict:
    """What a change of one field of a VM costs while its guest runs, and why. What no row names waits for a restart."""
    for row in TABLE:
        if row.pattern.search(one.path):
            return row.judge(one, around)
    return restart(AT_START)
