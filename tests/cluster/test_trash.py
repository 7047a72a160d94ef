"""Trash of a cluster: it ages by what its replicas saw, on the object itself, and nothing goes that anybody may want."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from nodeexec.kubevirt.settings import KubevirtSettings
from nodeexec.this_boot import boot_id
from reconciler.model.live import TrashItem
from reconciler.model.outcome import Outcome, Result
from tests.cluster.conftest import Cluster
from tests.cluster.hands import wait_until
from tests.cluster.place import Place, sample_place
from tests.cluster.site import ClusterSite
from tests.cluster.test_engine import made, served
from tests.contract.builders import delete, expire

AGE = "gitvirt.io/trash-age"
HOUR_S = 3600.0


class NodeClock:
    """The two clocks of one machine, in the hands of a test."""

    def __init__(self, *, up_s: float = 1000.0) -> None:
        self.at, self.up_s = datetime(2026, 3, 1, tzinfo=UTC), up_s

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.up_s

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.up_s += seconds


Replica = Callable[..., KubevirtEngine]


@pytest.fixture
def replica(site: ClusterSite) -> Iterator[Replica]:
    """Starts replicas on machines of their own; ends them."""
    running: list[KubevirtEngine] = []

    def start(clock: NodeClock, boot: str) -> KubevirtEngine:
        settings = KubevirtSettings(kubeconfig=str(site.kubeconfig), namespaces=(site.namespace,))
        running.append(KubevirtEngine(settings, site.policy, clock, this_boot=boot))
        return running[-1]

    yield start
    for engine in running:
        engine.close()


def thrown_away(site: ClusterSite, name: str = "data") -> TrashItem:
    """A claim in the trash."""
    assert site.engine.apply(delete(made(site, site.claim(name)))).result is Result.APPLIED
    return next(item for item in site.engine.observe(None).trash if item.key.name == name)


def seen(engine: KubevirtEngine) -> TrashItem:
    """The only trash item, as a replica sees it."""
    (item,) = engine.observe(None).trash
    return item


def expired(engine: KubevirtEngine, aged_s: float) -> Outcome:
    """What becomes of an expiry that was planned for the only item at that age."""
    return engine.apply(expire(seen(engine), aged_s=int(aged_s)))


def test_an_age_is_what_one_replica_after_the_other_saw(site: ClusterSite, replica: Replica) -> None:
    item = thrown_away(site)
    clock = NodeClock()
    first = replica(clock, "node-a")
    assert (seen(first).aged_s, seen(first).host) == (0.0, site.policy.host)
    assert first.note_trash_ages().result is Result.APPLIED
    clock.advance(HOUR_S / 2)
    assert first.note_trash_ages().result is Result.UNCHANGED
    clock.advance(HOUR_S)
    assert seen(first).aged_s == 1.5 * HOUR_S
    assert first.note_trash_ages().result is Result.APPLIED
    # Another node: its clock since boot is another, its time of day is a year ahead. What the first one noted stays.
    other = NodeClock(up_s=9e6)
    other.at += timedelta(days=365)
    second = replica(other, "node-b")
    assert seen(second).aged_s == 1.5 * HOUR_S
    assert second.note_trash_ages().result is Result.APPLIED
    other.advance(2 * HOUR_S)
    assert seen(second).aged_s == 3.5 * HOUR_S
    other.at += timedelta(days=30)
    assert seen(second).aged_s == 3.5 * HOUR_S
    assert seen(second).item == item.item


def test_only_what_was_seen_for_so_long_is_destroyed(site: ClusterSite, replica: Replica) -> None:
    thrown_away(site)
    clock = NodeClock()
    engine = replica(clock, "node-a")
    seen(engine)
    engine.note_trash_ages()
    clock.advance(2 * HOUR_S)
    young = expired(engine, 3 * HOUR_S)
    assert (young.result, "younger" in young.reason) == (Result.CONFLICT, True)
    assert expired(engine, 2 * HOUR_S).result is Result.APPLIED
    if site.hands.get(CLAIM, site.namespace, "data"):  # A real server keeps it until nothing protects it.
        assert engine.observe(None).trash == ()
        site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"finalizers": None}})
    assert site.hands.get(CLAIM, site.namespace, "data") is None


def test_what_came_back_or_is_another_object_begins_anew(site: ClusterSite, replica: Replica) -> None:
    item = thrown_away(site)
    clock = NodeClock()
    engine = replica(clock, "node-a")
    seen(engine)
    engine.note_trash_ages()
    clock.advance(9 * HOUR_S)
    engine.note_trash_ages()
    # Somebody puts it back by hand, and into the trash again, without a thought for the note.
    again = {"metadata": {"labels": {"gitvirt.io/trash": "20300101T000000Z"}}}
    site.hands.patch(CLAIM, site.namespace, "data", again)
    wait_until(lambda: seen(engine).item != item.item, "it is seen")
    assert seen(engine).aged_s == 0.0
    # A restored backup has all labels and annotations, and is another object.
    site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"labels": {"gitvirt.io/trash": item.item[-16:]}}})
    old = wait_until(lambda: served(site, CLAIM, "data") if seen(engine).aged_s else None, "it is old again")
    site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"finalizers": None}})
    site.hands.delete(CLAIM, site.namespace, "data")
    kept = {name: old["metadata"][name] for name in ("name", "namespace", "labels", "annotations")}
    site.hands.create({**{name: old[name] for name in ("apiVersion", "kind", "spec")}, "metadata": kept})
    wait_until(lambda: [one.aged_s for one in engine.observe(None).trash] == [0.0], "the copy is seen as new")


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"aged_s": "old"}', '{"aged_s": 1e9, "uid": null}', "\x00"])
def test_a_note_that_makes_no_sense_says_nothing(site: ClusterSite, note: str) -> None:
    thrown_away(site)
    site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"annotations": {AGE: note, "seen": "yes"}}})
    site.caught_up(site.claim("data").key)
    assert seen(site.engine).aged_s == 0.0
    assert site.engine.note_trash_ages().result is Result.APPLIED


def test_what_a_vm_or_a_copy_needs_is_not_destroyed(site: ClusterSite) -> None:
    item, claim = thrown_away(site), site.claim("data")
    clone = site.data_volume("copy", {"pvc": {"namespace": site.namespace, "name": "data"}})
    made(site, clone)
    refused = site.engine.empty_trash(item.item)
    assert (refused.result, "being copied" in refused.reason) == (Result.REFUSED, True)
    site.hands.set_status(DATA_VOLUME, site.namespace, "copy", {"phase": "Succeeded"})
    # A VM of somebody else, which gitvirt does not own, counts as well.
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"runStrategy": "Halted", "template": {"spec": {"domain": {"devices": {}}, "volumes": volumes}}}
    metadata = {"name": "theirs", "namespace": site.namespace}
    site.hands.create({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": metadata, "spec": spec})
    seen_one = f"{site.namespace}/theirs"
    wait_until(lambda: seen_one in site.engine.observe(None).foreign_vms, "the VM is seen")
    used = site.engine.empty_trash(item.item)
    assert used.result is Result.REFUSED
    assert f"is used by {seen_one}" in used.reason
    assert site.engine.apply(expire(item, aged_s=0)).result is Result.REFUSED
    assert site.hands.get(CLAIM, site.namespace, claim.key.name)


def test_an_item_that_was_taken_back_meanwhile_stays(site: ClusterSite, replica: Replica) -> None:
    item = thrown_away(site)
    late = replica(NodeClock(), "node-a")
    planned = expire(seen(late), aged_s=0)
    site.engine.restore_trash(item.item)
    assert late.apply(planned).result in (Result.CONFLICT, Result.UNCHANGED)
    back = served(site, CLAIM, "data")["metadata"]
    assert "deletionTimestamp" not in back
    assert AGE not in back["annotations"]


def aged(place: Place, name: str, aged_s: float) -> None:
    """As if this machine had noted for so long that it saw an item."""
    metadata: Any = place.hands.get(CLAIM, place.namespace, name)["metadata"]
    note = json.loads(metadata["annotations"][AGE]) | {"aged_s": aged_s, "boot_id": boot_id()}
    change = {"metadata": {"annotations": {AGE: json.dumps(note)}}}
    place.hands.patch(CLAIM, place.namespace, name, change)


def test_with_the_commands_of_a_user(tmp_path: Path, emulated: Cluster) -> None:
    emulated.hands.make_namespace("expiry")
    place = sample_place(tmp_path, emulated, "expiry")
    text = place.home.settings_file.read_text()
    place.home.settings_file.write_text(text + "trash: {expireAfter: 2h}\n")
    place.gitvirt("apply")
    place.home.git("rm", "-q", "-r", "vms/db.yaml")
    place.commit("no db")
    began = time.monotonic()
    place.gitvirt("apply")
    place.gitvirt("apply")
    rows = {row["object"]: row for row in json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"]}
    row = rows[f"{CLAIM}/expiry/db-data"]
    assert 7199 - (time.monotonic() - began) < row["expires_in_s"] <= 7200, row
    place.gitvirt("apply")
    aged(place, "db-data", 7201.0)
    plan = place.gitvirt("plan")
    assert f"delete TrashItem/expiry/{row['item']} [data-loss]" in plan
    # While the repository cannot be looked at nothing goes: the revert may be there.
    place.home.repository.rename(tmp_path / "away")
    assert "TrashItem" not in place.gitvirt("plan")
    (tmp_path / "away").rename(place.home.repository)
    place.gitvirt("apply")
    assert place.hands.get(CLAIM, "expiry", "db-data") is None
    assert place.hands.get(DATA_VOLUME, "expiry", "db-system") is not None
    assert "expiry" in place.gitvirt("audit")
