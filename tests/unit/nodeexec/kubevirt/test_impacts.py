"""Each row of the table of impacts: what KubeVirt carries out live, on which cluster, and what waits for a restart."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nodeexec.kubevirt.circumstances import Circumstances, Verdict
from nodeexec.kubevirt.impacts import TABLE, impact_of
from nodeexec.kubevirt.leaves import unlike
from nodeexec.kubevirt.rollout import LIVE_UPDATE, STAGE, UNKNOWN, Rollout, rollout_of
from reconciler.model.plan import Impact

STAGED = Rollout(strategy=STAGE)
OLD = Rollout(plugs_volumes=False, swaps_networks=False)
PATIENT = Rollout(migrates=False)
EVICTING = Rollout(evicts=True)
FIXED = {"type": "LiveMigratable", "status": "False", "message": "a host device"}
DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "a", "hotpluggable": True}}
ROOT = {"name": "root", "persistentVolumeClaim": {"claimName": "r"}}
LAN = {"name": "lan", "bridge": {}}
ON_LAN = {"name": "lan", "multus": {"networkName": "lan"}}


def template() -> dict[str, Any]:
    """A VM with a disk, a drive, and a NIC on the pod network."""
    return {
        "domain": {
            "cpu": {"sockets": 2, "cores": 1},
            "memory": {"guest": "2Gi"},
            "devices": {
                "disks": [{"name": "root", "disk": {"bus": "virtio"}}, {"name": "drive", "cdrom": {"bus": "sata"}}],
                "interfaces": [{"name": "default", "masquerade": {}}],
            },
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [copy.deepcopy(ROOT)],
    }


def changed(**parts: Any) -> dict[str, Any]:
    """The same with fields set by path (``domain__cpu__sockets=4``), or lists extended (``volumes__=item``)."""
    made = template()
    for path, value in parts.items():
        *way, last = path.split("__")
        place: Any = made
        for part in way:
            place = place.setdefault(part, {}) if last else place[part]
        if last:
            place[last] = value
        else:
            place.append(value)
    return made


def judged(
    want: dict[str, Any],
    *,
    have: dict[str, Any] | None = None,
    on: Rollout = Rollout(),
    guest: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    due: bool = False,
    spec: dict[str, Any] | None = None,
    was: dict[str, Any] | None = None,
    may_restart: bool = False,
) -> dict[str, Verdict]:
    """Verdicts by the last part of the path, of a VM that runs as ``have``."""
    there = have or template()
    old = {"spec": {**(was or {}), "template": {"spec": there}}}
    new = {"spec": {**(spec or {}), "template": {"spec": want}}}
    conditions = [{"type": "RestartRequired", "status": "True"}] if due else []
    instance = {"spec": guest or there, "status": status or {}}
    around = Circumstances(
        wanted=new, have={**old, "status": {"conditions": conditions}}, instance=instance, rollout=on,
        may_restart=may_restart,
    )  # fmt: skip
    found = {one.path.removeprefix("spec.template.spec."): one for one in unlike(new, old, old)}
    assert found
    return {path: impact_of(one, around) for path, one in found.items()}


def impact(want: dict[str, Any], **how: Any) -> Impact:
    """The one impact that all differences have."""
    (found,) = {verdict.impact for verdict in judged(want, **how).values()}
    return found


MAX = changed(domain__cpu__maxSockets=4, domain__memory__maxGuest="8Gi")
SOCKETS = changed(domain__cpu__sockets=4)


@pytest.mark.parametrize(
    ("want", "how", "expected"),
    [
        (SOCKETS, {"guest": MAX}, Impact.LIVE),
        (SOCKETS, {"guest": MAX, "on": STAGED}, Impact.RESTART),
        (SOCKETS, {"guest": MAX, "due": True}, Impact.RESTART),
        (SOCKETS, {"guest": MAX, "on": PATIENT}, Impact.RESTART),
        (SOCKETS, {"guest": MAX, "status": {"conditions": [FIXED]}}, Impact.RESTART),
        (SOCKETS, {"guest": MAX, "have": changed(architecture="arm64"), "was": {}}, Impact.RESTART),
        (changed(domain__cpu__sockets=5), {"guest": MAX}, Impact.RESTART),
        (changed(domain__cpu__sockets=1), {"guest": MAX}, Impact.RESTART),
        (changed(domain__cpu__cores=2), {"guest": MAX}, Impact.RESTART),
        (changed(domain__cpu__maxSockets=8), {"guest": MAX}, Impact.RESTART),
    ],
)
def test_cpus(want: dict[str, Any], how: dict[str, Any], expected: Impact) -> None:
    if "have" in how:
        want = {**want, "architecture": "arm64"}
    assert impact(want, **how) is expected


MORE = changed(domain__memory__guest="4Gi")
BOOTED = {"memory": {"guestAtBoot": "2Gi"}}


@pytest.mark.parametrize(
    ("want", "how", "expected"),
    [
        (MORE, {"guest": MAX, "status": BOOTED}, Impact.LIVE),
        (MORE, {"guest": MAX, "status": BOOTED, "on": STAGED}, Impact.RESTART),
        (MORE, {"guest": MAX, "status": BOOTED, "due": True}, Impact.RESTART),
        (MORE, {"guest": template()}, Impact.RESTART),
        (MORE, {"guest": MAX, "status": {"conditions": [FIXED]}}, Impact.RESTART),
        (MORE, {"guest": MAX, "status": {"conditions": [{"type": "HotMemoryChange", "status": "False"}]}}, Impact.RESTART),
        (changed(domain__memory__guest="9Gi"), {"guest": MAX, "status": BOOTED}, Impact.RESTART),
        (changed(domain__memory__guest="1536Mi"), {"guest": MAX, "status": BOOTED}, Impact.RESTART),
        (changed(domain__memory__guest="1536Mi"), {"guest": MAX, "status": {"memory": {"guestAtBoot": "1Gi"}}}, Impact.LIVE),
        (changed(domain__memory__guest="512Mi"), {"guest": MAX}, Impact.RESTART),
        (changed(domain__memory__guest="3221225473"), {"guest": MAX, "status": BOOTED}, Impact.RESTART),
        (changed(domain__memory__maxGuest="16Gi"), {"guest": MAX}, Impact.RESTART),
    ],
)  # fmt: skip
def test_memory(want: dict[str, Any], how: dict[str, Any], expected: Impact) -> None:
    assert impact(want, **how) is expected


@pytest.mark.parametrize(
    "fixed",
    [
        {"domain__cpu__realtime": {}},
        {"domain__cpu__numa": {"guestMappingPassthrough": {}}},
        {"domain__launchSecurity": {"sev": {}}},
        {"architecture": "s390x"},
    ],
)
def test_memory_that_is_never_changed_live(fixed: dict[str, Any]) -> None:
    want = changed(domain__memory__guest="4Gi", **fixed)
    assert impact(want, have=changed(**fixed), guest=MAX, status=BOOTED) is Impact.RESTART


def test_huge_pages_are_plugged_in_whole() -> None:
    huge = {"domain__memory__hugepages": {"pageSize": "1Gi"}}
    for size, expected in (("4Gi", Impact.LIVE), ("2560Mi", Impact.RESTART)):
        want = changed(**huge)
        want["domain"]["memory"]["guest"] = size
        have = changed(**huge)
        have["domain"]["memory"]["guest"] = "2Gi"
        assert impact(want, have=have, guest=MAX, status=BOOTED) is expected


def with_nic(nic: dict[str, Any], net: dict[str, Any]) -> dict[str, Any]:
    return changed(domain__devices__interfaces__=nic, networks__=net)


@pytest.mark.parametrize("on", [Rollout(), STAGED, UNKNOWN])
def test_nics_are_plugged_whatever_the_strategy(on: Rollout) -> None:
    assert impact(with_nic(LAN, ON_LAN), on=on) is Impact.LIVE
    assert impact(with_nic({"name": "lan", "sriov": {}}, ON_LAN), on=on, due=True) is Impact.LIVE
    there = with_nic(LAN, ON_LAN)
    assert impact(with_nic({**LAN, "state": "absent"}, ON_LAN), have=there, on=on) is Impact.LIVE
    assert impact(with_nic({**LAN, "state": "down"}, ON_LAN), have=there, on=on) is Impact.LIVE


def test_nics_that_wait_for_a_restart() -> None:
    there = with_nic(LAN, ON_LAN)
    assert impact(with_nic({"name": "lan", "masquerade": {}}, ON_LAN)) is Impact.RESTART
    assert impact(with_nic(LAN, {"name": "lan", "pod": {}})) is Impact.RESTART
    gone = judged(template(), have=there)
    assert {verdict.impact for verdict in gone.values()} == {Impact.RESTART}
    assert "state: absent" in gone["domain.devices.interfaces[lan]"].reason
    assert impact(template(), have=there, guest=template()) is Impact.NONE
    assert impact(with_nic({**LAN, "model": "e1000"}, ON_LAN), have=there) is Impact.RESTART
    assert impact(with_nic({**LAN, "macAddress": "02:00:00:00:00:01"}, ON_LAN), have=there) is Impact.RESTART


def test_a_nic_moves_to_another_network_by_a_migration() -> None:
    there, other = with_nic(LAN, ON_LAN), {"name": "lan", "multus": {"networkName": "dmz"}}
    assert impact(with_nic(LAN, other), have=there, on=STAGED) is Impact.LIVE
    assert impact(with_nic(LAN, other), have=there, on=OLD) is Impact.RESTART
    assert impact(with_nic(LAN, other), have=there, status={"conditions": [FIXED]}) is Impact.RESTART


def with_disk(volume: dict[str, Any], disk: dict[str, Any] | None = None) -> dict[str, Any]:
    entry = disk or {"name": volume["name"], "disk": {"bus": "scsi"}}
    return changed(domain__devices__disks__=entry, volumes__=volume)


def test_disks_come_and_go_live_where_their_volume_is_hotpluggable() -> None:
    there = with_disk(DATA)
    assert impact(there) is Impact.LIVE
    assert impact(there, on=STAGED, due=True) is Impact.LIVE
    assert impact(there, on=OLD) is Impact.RESTART
    assert impact(template(), have=there) is Impact.LIVE
    assert impact(template(), have=there, on=OLD) is Impact.RESTART
    fixed = with_disk({"name": "data", "dataVolume": {"name": "a"}})
    assert impact(fixed) is Impact.RESTART
    assert impact(template(), have=fixed) is Impact.RESTART
    assert impact(with_disk({"name": "seed", "cloudInitNoCloud": {"userData": "a"}})) is Impact.RESTART
    other = with_disk({**DATA, "persistentVolumeClaim": {"claimName": "b", "hotpluggable": True}})
    assert impact(other, have=there) is Impact.LIVE
    assert impact(other, have=there, on=OLD) is Impact.RESTART
    assert impact(with_disk(DATA, {"name": "data", "disk": {"bus": "virtio"}}), have=there) is Impact.RESTART


def test_discs_are_changed_live_and_drives_at_a_restart() -> None:
    disc = {"name": "drive", "persistentVolumeClaim": {"claimName": "iso", "hotpluggable": True}}
    loaded = changed(volumes__=disc)
    assert judged(loaded)["volumes[drive]"] == (Impact.LIVE, "the disc is put in", "", False)
    assert judged(template(), have=loaded)["volumes[drive]"] == (Impact.LIVE, "the disc is taken out", "", False)
    other = changed(volumes__={**disc, "persistentVolumeClaim": {"claimName": "iso2", "hotpluggable": True}})
    (verdict,) = judged(other, have=loaded).values()
    assert verdict[:2] == (Impact.LIVE, "the disc in the drive is changed")
    fixed = changed(volumes__={"name": "drive", "containerDisk": {"image": "a"}})
    assert impact(fixed) is Impact.RESTART
    without = template()
    without["domain"]["devices"]["disks"].pop()
    assert impact(without) is Impact.RESTART
    assert impact(template(), have=without) is Impact.RESTART


def test_a_volume_that_is_moved_to_another_claim() -> None:
    other = template()
    other["volumes"] = [{"name": "root", "persistentVolumeClaim": {"claimName": "new"}}]
    strategy = {"updateVolumesStrategy": "Migration"}
    assert impact(other) is Impact.RESTART
    assert impact(other, spec=strategy, was=strategy) is Impact.LIVE
    assert impact(other, spec=strategy, was=strategy, on=STAGED) is Impact.RESTART
    assert impact(other, spec={"updateVolumesStrategy": "Replacement"}, was={"updateVolumesStrategy": "Replacement"}) is Impact.RESTART  # fmt: skip


@pytest.mark.parametrize(
    "placed",
    [
        {"nodeSelector": {"zone": "a"}},
        {"affinity": {"podAffinity": {}}},
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
    ],
)
def test_placement_is_live_under_live_update(placed: dict[str, Any]) -> None:
    assert impact(changed(**placed)) is Impact.LIVE
    assert impact(changed(**placed), on=STAGED) is Impact.RESTART
    assert impact(changed(**placed), due=True) is Impact.RESTART


@pytest.mark.parametrize(
    ("field", "after", "expected"),
    [
        ("instancetype", {"name": "large"}, Impact.RESTART),
        ("preference", {"name": "linux"}, Impact.RESTART),
        ("runStrategy", "Always", Impact.LIVE),
        ("runStrategy", "Halted", Impact.RESTART),
        ("running", False, Impact.RESTART),
        ("updateVolumesStrategy", "Migration", Impact.NONE),
        ("dataVolumeTemplates", [{"metadata": {"name": "a"}}], Impact.NONE),
    ],
)
def test_fields_beside_the_template(field: str, after: Any, expected: Impact) -> None:
    (verdict,) = judged(template(), spec={field: after}).values()
    assert verdict.impact is expected
    assert verdict.is_power is (field in ("runStrategy", "running"))


@pytest.mark.parametrize(
    "field", ["evictionStrategy", "terminationGracePeriodSeconds", "hostname", "accessCredentials", "startStrategy"]
)
def test_everything_else_of_the_template_waits(field: str) -> None:
    assert impact(changed(**{field: "a"})) is Impact.RESTART


def test_metadata_touches_no_guest() -> None:
    old = {"metadata": {"labels": {}}, "spec": {"template": {"metadata": {"labels": {}}}}}
    new = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}
    around = Circumstances(wanted=new, have=old, instance={}, rollout=STAGED)
    assert {impact_of(one, around).impact for one in unlike(new, old, old)} == {Impact.NONE}


def test_what_would_have_the_guest_evicted_is_left_to_a_person() -> None:
    how: dict[str, Any] = {"guest": MAX, "status": {"conditions": [FIXED]}, "on": EVICTING}
    (verdict,) = judged(SOCKETS, **how).values()
    assert verdict.impact is Impact.RESTART
    assert "a host device" in verdict.reason
    assert "shut the guest down" in verdict.refused
    (allowed,) = judged(SOCKETS, may_restart=True, **how).values()
    assert (allowed.impact, allowed.refused) == (Impact.RESTART, "")


def test_every_row_is_met_by_some_path() -> None:
    met = (
        "domain.cpu.sockets", "domain.memory.guest", "domain.devices.interfaces[a]", "domain.devices.interfaces[a].state",
        "networks[a]", "networks[a].multus.networkName", "domain.devices.disks[a]", "volumes[a]",
        "volumes[a].persistentVolumeClaim.claimName", "nodeSelector.zone",
    )  # fmt: skip
    paths = [f"spec.template.spec.{path}" for path in met]
    paths += ["spec.instancetype.name", "spec.template.metadata.labels.a", "spec.running", "spec.dataVolumeTemplates"]
    paths.append("metadata.labels.a")
    first = [next(row for row in TABLE if row.pattern.search(path)) for path in paths]
    assert first == list(TABLE)


@pytest.mark.parametrize(
    ("version", "configuration", "expected"),
    [
        ("v1.5.3", {}, Rollout(strategy=STAGE, plugs_volumes=False, swaps_networks=False)),
        ("v1.6.0", {}, Rollout(strategy=LIVE_UPDATE, plugs_volumes=False, swaps_networks=False)),
        ("v1.8.2", {"vmRolloutStrategy": "Stage"}, Rollout(strategy=STAGE, plugs_volumes=False)),
        ("v1.9.0", {}, Rollout()),
        ("v1.9.0", {"developerConfiguration": {"featureGates": ["HotplugVolumes"]}}, Rollout(plugs_volumes=False)),
        (
            "v1.9.0",
            {"developerConfiguration": {"disabledFeatureGates": ["DeclarativeHotplugVolumes", "LiveUpdateNADRef"]}},
            Rollout(plugs_volumes=False, swaps_networks=False),
        ),
        (
            "v1.7.1",
            {"developerConfiguration": {"featureGates": ["DeclarativeHotplugVolumes"]}},
            Rollout(swaps_networks=False),
        ),
        ("nonsense", {}, UNKNOWN),
    ],
)
def test_what_a_kubevirt_object_says(version: str, configuration: dict[str, Any], expected: Rollout) -> None:
    body = {
        "spec": {
            "configuration": configuration,
            "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]},
        },
        "status": {"observedKubeVirtVersion": version},
    }
    assert rollout_of(body) == expected
    assert rollout_of({"status": {"observedKubeVirtVersion": version}}).migrates is False
    evicts = {"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["Evict"]}}}
    assert rollout_of(evicts).evicts
