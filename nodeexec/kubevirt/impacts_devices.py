"""What a change of NICs, disks and volumes costs under KubeVirt. Pure.

NICs and hotpluggable volumes are plugged in and out whatever the rollout strategy is; volumes are moved under LiveUpdate only.

*Source*: virt-controller's rules for declared volumes and disks, its network synchronizer, and its volume migration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.circumstances import AT_START, Circumstances, Verdict, item_of, live, restart
from nodeexec.kubevirt.leaves import ABSENT, Unlike
from reconciler.model.plan import Impact

GONE = "absent"
"""State of a NIC that is to be unplugged."""

_NICS, _DISKS = "domain.devices.interfaces", "domain.devices.disks"
_BACKINGS = ("persistentVolumeClaim", "dataVolume")
_NOT_HOTPLUGGABLE = "a volume is plugged in and out live where it says hotpluggable: true"
_NO_DECLARED_VOLUMES = (
    "this KubeVirt plugs declared volumes in at a start only (feature gate DeclarativeHotplugVolumes)"
)


def nic(one: Unlike, around: Circumstances) -> Verdict:
    """A NIC that came or went."""
    name = _name(one)
    if one.after is ABSENT:
        if around.instance is not None and not item_of(around.guest, _NICS, name):
            return Verdict(Impact.NONE, "the guest does not have it")
        return restart("a NIC that leaves the manifest goes at a restart; state: absent unplugs it before")
    return _plugged(one.after, around.item("networks", name, wanted=True))


def nic_state(one: Unlike, around: Circumstances) -> Verdict:
    """``state`` of a NIC: unplugged, or its link set."""
    del around
    return live("the NIC is unplugged" if one.after == GONE else "the NIC's link is set")


def network(one: Unlike, around: Circumstances) -> Verdict:
    """The network of a NIC that came or went."""
    same = Unlike(f"[{_name(one)}]", one.before, one.after)
    if one.after is ABSENT:
        return nic(same, around)
    return _plugged(around.item(_NICS, _name(one), wanted=True), one.after)


def network_name(one: Unlike, around: Circumstances) -> Verdict:
    """Another network for a NIC that is there."""
    del one
    if not around.rollout.swaps_networks:
        return restart("this KubeVirt moves a NIC to another network at a restart only")
    why = around.why_not_moved()
    return restart(why) if why else live("the guest is migrated to have its NIC on the other network")


def _plugged(interface: Any, of: Any) -> Verdict:
    said: Mapping[str, Any] = interface if isinstance(interface, Mapping) else {}
    where: Mapping[str, Any] = of if isinstance(of, Mapping) else {}
    if said.get("state") == GONE:
        return Verdict(Impact.NONE, "a NIC that is to be absent is not plugged in")
    if where.get("multus") is None:
        return restart("the pod network is there from the start on")
    if "bridge" not in said and "sriov" not in said:
        return restart("only NICs with a bridge or SR-IOV binding are plugged in live")
    return live("the NIC is plugged in by migrating the guest" if "sriov" not in said else "the NIC is plugged in")


def disk(one: Unlike, around: Circumstances) -> Verdict:
    """A disk that came or went."""
    came = one.after is not ABSENT
    entry = one.after if came else one.before
    if isinstance(entry, Mapping) and "cdrom" in entry:
        return restart("a drive comes and goes with a restart; its disc is changed live")
    return _pluggable(around.item("volumes", _name(one), wanted=came), around, came=came)


def volume(one: Unlike, around: Circumstances) -> Verdict:
    """A volume that came or went; in a drive it is a disc."""
    came = one.after is not ABSENT
    name = _name(one)
    is_disc = bool(
        around.item(_DISKS, name, wanted=True).get("cdrom") is not None and around.item(_DISKS, name, wanted=False)
    )
    entry = one.after if came else one.before
    verdict = _pluggable(entry if isinstance(entry, Mapping) else {}, around, came=came)
    if is_disc and verdict.impact is Impact.LIVE:
        return live("the disc is put in" if came else "the disc is taken out")
    return verdict


def volume_content(one: Unlike, around: Circumstances) -> Verdict:
    """Another claim behind a volume that stays."""
    name = _name(one)
    wanted, have = around.item("volumes", name, wanted=True), around.item("volumes", name, wanted=False)
    if (around.wanted.get("spec") or {}).get("updateVolumesStrategy") == "Migration":
        return around.why_staged() or live("the disk's content is moved to the other volume while the guest runs")
    if not (_is_hotpluggable(wanted) and _is_hotpluggable(have)):
        return restart(f"{AT_START}; a disc or disk is exchanged live where its volume says hotpluggable: true")
    if not around.rollout.plugs_volumes:
        return restart(_NO_DECLARED_VOLUMES)
    is_disc = around.item(_DISKS, name, wanted=True).get("cdrom") is not None
    return live("the disc in the drive is changed" if is_disc else "the disk is unplugged and the other one plugged in")


def _pluggable(volume: Mapping[str, Any], around: Circumstances, *, came: bool) -> Verdict:
    if not _is_hotpluggable(volume):
        return restart(_NOT_HOTPLUGGABLE)
    if not around.rollout.plugs_volumes:
        return restart(_NO_DECLARED_VOLUMES)
    return live("the disk is plugged in" if came else "the disk is unplugged")


def _is_hotpluggable(volume: Mapping[str, Any]) -> bool:
    return any((volume.get(name) or {}).get("hotpluggable") is True for name in _BACKINGS)


def _name(one: Unlike) -> str:
    """The name of the item that a path is about, or lies in."""
    return one.path.partition("[")[2].partition("]")[0]
