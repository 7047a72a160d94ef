"""How a cluster carries changes of running VMs out: what its KubeVirt object says, and its version. Pure.

*Source*: KubeVirt's ``vmRolloutStrategy`` (LiveUpdate by default since 1.6), its feature gates (``DeclarativeHotplugVolumes`` on by
default since 1.9, ``LiveUpdateNADRef`` since 1.8) and ``workloadUpdateStrategy``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIVE_UPDATE = "LiveUpdate"
STAGE = "Stage"
_LIVE_BY_DEFAULT = (1, 6)
_SWAPS_BY_DEFAULT = (1, 8)
_PLUGS_BY_DEFAULT = (1, 9)
_DECLARED_VOLUMES = "DeclarativeHotplugVolumes"
_OLD_HOTPLUG = "HotplugVolumes"
_NETWORK_SWAP = "LiveUpdateNADRef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """``strategy`` is `LIVE_UPDATE` or `STAGE`. ``plugs_volumes``: volumes that a manifest declares hotpluggable are plugged in and out.
    ``swaps_networks``: a NIC of a running guest moves to another network. ``migrates``: guests are migrated for a change that needs it;
    ``evicts``: a guest that cannot be migrated is shut down for it.
    """

    strategy: str = LIVE_UPDATE
    plugs_volumes: bool = True
    swaps_networks: bool = True
    migrates: bool = True
    evicts: bool = False


UNKNOWN = Rollout(strategy=STAGE, plugs_volumes=False, swaps_networks=False)
"""Where the KubeVirt object cannot be read: what is live after all comes as good news."""


def rollout_of(kubevirt: Mapping[str, Any]) -> Rollout:
    """What a KubeVirt object says."""
    spec = kubevirt.get("spec") or {}
    said = spec.get("configuration") or {}
    version = _version(str((kubevirt.get("status") or {}).get("observedKubeVirtVersion", "")))
    methods = (spec.get("workloadUpdateStrategy") or {}).get("workloadUpdateMethods") or ()
    strategy = said.get("vmRolloutStrategy") or (LIVE_UPDATE if version >= _LIVE_BY_DEFAULT else STAGE)
    gates = said.get("developerConfiguration") or {}
    return Rollout(
        strategy=LIVE_UPDATE if strategy == LIVE_UPDATE else STAGE,
        plugs_volumes=_is_on(gates, _DECLARED_VOLUMES, by_default=version >= _PLUGS_BY_DEFAULT)
        and not _is_on(gates, _OLD_HOTPLUG, by_default=False),
        swaps_networks=_is_on(gates, _NETWORK_SWAP, by_default=version >= _SWAPS_BY_DEFAULT),
        migrates="LiveMigrate" in methods,
        evicts="Evict" in methods,
    )


def _is_on(gates: Mapping[str, Any], name: str, *, by_default: bool) -> bool:
    if name in (gates.get("featureGates") or ()):
        return True
    return by_default and name not in (gates.get("disabledFeatureGates") or ())


def _version(said: str) -> tuple[int, int]:
    """``v1.8.2`` → ``(1, 8)``; (0, 0) for what makes no sense."""
    found = re.match(r"v?(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
