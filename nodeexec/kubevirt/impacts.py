"""What a change of each field of a VM costs under KubeVirt: its live-update rules as a table. Pure.

*Source*: KubeVirt's user guide, "VM Rollout Strategies", "CPU Hotplug", "Memory Hotplug", "Hotplug Network Interfaces", "Hotplug Volumes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.model.plan import Impact

LIVE_UPDATE = "LiveUpdate"
STAGE = "Stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Fields whose path matches, what a change of them costs, and why. ``needs_live_update``: only under that strategy; else it waits for a restart."""

    pattern: re.Pattern[str]
    impact: Impact
    reason: str
    needs_live_update: bool = True


def _row(pattern: str, impact: Impact, reason: str, *, needs_live_update: bool = True) -> Row:
    return Row(pattern=re.compile(pattern), impact=impact, reason=reason, needs_live_update=needs_live_update)


_T = r"spec\.template\.spec\."
TABLE: tuple[Row, ...] = (
    _row(rf"^{_T}domain\.cpu\.sockets$", Impact.LIVE, "KubeVirt plugs sockets in by migrating the guest"),
    _row(rf"^{_T}domain\.memory\.guest$", Impact.LIVE, "KubeVirt plugs memory in by migrating the guest"),
    _row(rf"^{_T}domain\.devices\.interfaces\[[^\]]+\]$", Impact.LIVE, "the NIC is plugged in by migrating the guest"),
    _row(rf"^{_T}domain\.devices\.interfaces\[[^\]]+\]\.state$", Impact.LIVE, "the NIC is unplugged, or its link set"),
    _row(rf"^{_T}networks\[[^\]]+\]$", Impact.LIVE, "the network of a NIC that is plugged in"),
    _row(rf"^{_T}domain\.devices\.disks\[[^\]]+\]$", Impact.LIVE, "the disk is plugged in, if its volume is hotpluggable"),
    _row(rf"^{_T}volumes\[[^\]]+\]$", Impact.LIVE, "the volume is plugged in, if it is hotpluggable"),
    _row(rf"^{_T}volumes\[[^\]]+\]\.(persistentVolumeClaim|dataVolume)\.", Impact.LIVE, "the disc in the drive is changed"),
    _row(rf"^{_T}(nodeSelector|affinity|tolerations)\b", Impact.LIVE, "where the guest may run from its next move on"),
    _row(r"^spec\.template\.metadata\.", Impact.RESTART, "labels and annotations of the instance are set when it starts", needs_live_update=False),
    _row(r"^spec\.(runStrategy|running)$", Impact.LIVE, "KubeVirt carries the run strategy out", needs_live_update=False),
    _row(r"^spec\.(updateVolumesStrategy|dataVolumeTemplates)\b", Impact.NONE, "not part of the guest", needs_live_update=False),
    _row(r"^metadata\.", Impact.NONE, "labels and annotations of the object", needs_live_update=False),
)  # fmt: skip
_AT_START = "is set when the guest starts"
_STAGED = "the cluster stages changes (rollout strategy Stage) until the guest starts"


def impact_of(path: str, strategy: str) -> tuple[Impact, str]:
    """What a change of one field of a VM costs while its guest runs, and why."""
    for row in TABLE:
        if row.pattern.search(path):
            if row.needs_live_update and strategy != LIVE_UPDATE:
                return Impact.RESTART, _STAGED
            return row.impact, row.reason
    return Impact.RESTART, _AT_START
