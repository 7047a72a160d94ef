"""What a cluster remembers of deleted VMs: written before the deletion, for every replica, and small."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from nodeexec.kubevirt.kinds import VM
from nodeexec.kubevirt.own_objects import deletions_name
from reconciler.model.live import LiveObject
from reconciler.model.outcome import Outcome, Result
from tests.cluster.hands import wait_until
from tests.cluster.place import sample_place
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite
from tests.cluster.test_engine import made
from tests.contract.builders import delete


def record(site: ClusterSite) -> Any:
    """The ConfigMap; None when there is none."""
    name = deletions_name(site.policy.owner)
    return site.hands.get("ConfigMap", site.namespace, name)


def deleted(site: ClusterSite, name: str) -> tuple[LiveObject, Outcome]:
    """A halted VM, and how its deletion went."""
    live = made(site, site.vm(name, run_strategy="Halted"))
    return live, site.engine.apply(delete(live))


def test_it_is_written_before_and_read_by_the_next_replica(site: ClusterSite) -> None:
    assert site.engine.observe(None).deletions == ()
    assert record(site) is None
    _, outcome = deleted(site, "web")
    assert outcome.result is Result.APPLIED
    assert f" {VM}/{site.namespace}/web\n" in record(site)["data"]["deletions"]
    deleted(site, "db")
    told = [one.key.name for one in site.engine.observe(None).deletions]
    another = site.another_engine()
    try:
        assert [one.key.name for one in another.observe(None).deletions] == told == ["web", "db"]
    finally:
        another.close()
    assert site.engine.observe(None).objects == {}


def test_a_record_that_somebody_else_wrote_makes_the_deletion_planned_again(site: ClusterSite) -> None:
    deleted(site, "first")
    before = record(site)["data"]["deletions"]
    theirs = f"2026-03-01T12:00:00Z {VM}/{site.namespace}/theirs\n"
    site.hands.patch("ConfigMap", site.namespace, deletions_name(site.policy.owner), {"data": {"deletions": theirs}})
    live, outcome = deleted(site, "second")
    assert (outcome.result, "planned again" in outcome.reason) == (Result.CONFLICT, True)
    assert "deletionTimestamp" not in (site.hands.get(VM, site.namespace, "second") or {})["metadata"]
    # What is known counts, whoever knew it; then it is written whole.
    assert {one.key.name for one in site.engine.observe(None).deletions} == {"first", "theirs"}
    assert site.engine.apply(delete(live)).result is Result.APPLIED
    assert before in record(site)["data"]["deletions"]
    # One that was deleted is made anew with all that is remembered.
    site.hands.delete("ConfigMap", site.namespace, deletions_name(site.policy.owner))
    live, outcome = deleted(site, "third")
    assert outcome.result is Result.CONFLICT
    assert site.engine.apply(delete(live)).result is Result.APPLIED
    assert all(f"/{name}\n" in record(site)["data"]["deletions"] for name in ("first", "second", "third"))


def test_a_record_that_cannot_be_understood_holds_deletions_back(site: ClusterSite) -> None:
    deleted(site, "first")
    name = deletions_name(site.policy.owner)
    site.hands.patch("ConfigMap", site.namespace, name, {"data": {"deletions": "yesterday, all of them"}})
    another = site.another_engine()
    try:
        told = another.observe(None).deletions_unknown
        assert f"ConfigMap {site.namespace}/{name} is not as gitvirt writes it (line 1" in told
        assert "delete it" in told
        live = made(site, site.vm("second", run_strategy="Halted"))
        wait_until(lambda: live.key in another.observe([live.key]).objects, "it is seen")
        refused = another.apply(delete(live))
        assert (refused.result, refused.reason) == (Result.RETRY, told)
        site.hands.delete("ConfigMap", site.namespace, name)
        assert another.apply(delete(live)).result is Result.APPLIED
        assert another.observe(None).deletions_unknown == ""
    finally:
        another.close()


def test_without_its_namespace_nothing_is_deleted(real_site: ClusterSite) -> None:
    site = real_site
    live = made(site, site.vm("web", run_strategy="Halted"))
    lost = site.another_engine(lease_namespace="nowhere-at-all")
    try:
        wait_until(lambda: live.key in lost.observe(None).objects, "it is seen")
        outcome = lost.apply(delete(live))
        assert (outcome.result, "leaseNamespace" in outcome.reason) == (Result.FAILED, True)
        assert "deletionTimestamp" not in (site.hands.get(VM, site.namespace, "web") or {})["metadata"]
    finally:
        lost.close()


def test_one_by_one_is_counted_whoever_counts_and_with_nothing_left_on_disk(tmp_path: Path, emulated: Cluster) -> None:
    emulated.hands.make_namespace("slowly")
    place = sample_place(tmp_path, emulated, "slowly")
    names = [f"vm{number}" for number in range(6)]
    shutil.rmtree(place.home.repository / "vms")
    (place.home.repository / "vms").mkdir()
    for name in names:
        body = {
            "apiVersion": "kubevirt.io/v1", "kind": VM, "metadata": {"name": name},
            "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {"memory": {"guest": "64Mi"}, "devices": {}}}}},
        }  # fmt: skip
        (place.home.repository / "vms" / f"{name}.yaml").write_text(yaml.safe_dump(body))
    place.commit("six")
    place.gitvirt("apply")
    assert place.names(VM) == set(names)
    for number, name in enumerate(names[:4]):
        place.home.git("rm", "-q", f"vms/{name}.yaml")
        place.commit(f"no {name}")
        shutil.rmtree(tmp_path / "state")
        place.gitvirt("apply", code=0)
        assert (place.hands.get(VM, "slowly", name) is None) is (number < 3), number
    plan = json.loads(place.gitvirt("plan", "-o", "json"))
    (hold,) = plan["held"]
    assert hold["reason"] == "deletion of VMs: 4 within 60 min of 6, more than the blast radius allows"
    place.gitvirt("approve", hold["hold_id"])
    assert place.hands.get(VM, "slowly", "vm3") is None
