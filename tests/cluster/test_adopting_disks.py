"""Disks and networks that are there already, without a VM: uploaded first, then taken over, whatever kind declares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, NETWORK
from tests.cluster.hands import wait_until
from tests.cluster.place import Place, place_of
from tests.cluster.planes import Cluster

FILLED = "cdi.kubevirt.io/storage.populatedFor"


def claim(size: str = "1Gi", **more: Any) -> dict[str, Any]:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **more}


def manifest(kind: str, spec: dict[str, Any], **metadata: Any) -> str:
    version = {CLAIM: "v1", DATA_VOLUME: "cdi.kubevirt.io/v1beta1", NETWORK: "k8s.cni.cncf.io/v1"}[kind]
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": {"name": "data", **metadata}, "spec": spec})


@pytest.fixture
def place(tmp_path: Path, either: Cluster, own_namespace: str) -> Place:
    """A repository without anything in it yet."""
    return place_of(tmp_path, either, own_namespace, {"about.yaml": ""})


def declare(place: Place, *manifests: str) -> None:
    (place.home.repository / "all.yaml").write_text("---\n".join(manifests))
    place.commit("declare")


def upload(place: Place, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """What `virtctl image-upload pvc` leaves: a claim with bytes in it that nobody owns."""
    about = {"name": "data", "namespace": place.namespace, **metadata}
    return dict(place.hands.create({"apiVersion": "v1", "kind": CLAIM, "metadata": about, "spec": spec}))


def served(place: Place, kind: str) -> dict[str, Any]:
    found = place.hands.get(kind, place.namespace, "data")
    assert found is not None
    return found


def test_an_uploaded_claim_is_taken_over_as_it_is(place: Place) -> None:
    before = upload(place, claim())
    declare(place, manifest(CLAIM, claim()))
    (blocked,) = place.plan()["blocked"]
    assert f"`gitvirt adopt --kind pvc {place.namespace}/data`" in blocked["by"]
    said = place.gitvirt("adopt", "--kind", "pvc", "data")
    assert said.endswith(f"{CLAIM}/{place.namespace}/data is now gitvirt's, as {CLAIM}/{place.namespace}/data.\n")
    after = served(place, CLAIM)
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    plan = place.plan()
    assert (plan["changes"], plan["held"], plan["blocked"], plan["notes"]) == ([], [], [], [])
    place.gitvirt("adopt", "--kind", "pvc", "data", code=16)
    (place.home.repository / "all.yaml").unlink()
    place.commit("gone")
    place.gitvirt("apply")
    assert "data" in place.gitvirt("trash", "list"), "it is like any other disk from now on"
    place.home.git("revert", "--no-edit", "HEAD")
    place.gitvirt("apply")
    place.gitvirt("release", "--kind", "pvc", "data")
    assert "gitvirt" not in yaml.safe_dump({**served(place, CLAIM)["metadata"], "managedFields": None, "namespace": ""})


def test_what_differs_and_can_come_about_is_accepted_and_what_is_settled_is_in_the_way(place: Place) -> None:
    upload(place, claim(storageClassName="slow"))
    declare(place, manifest(CLAIM, claim("2Gi", storageClassName="fast", volumeMode="Block")))
    view = json.loads(place.gitvirt("adopt", "--kind", "pvc", "data", "-o", "json", code=1))
    assert {text.split(":")[0] for text in view["obstacles"]} >= {"spec.storageClassName"}
    assert 'there it is "slow", the manifest says "fast"' in " ".join(view["obstacles"])
    declare(place, manifest(CLAIM, claim("2Gi", storageClassName="slow")))
    view = json.loads(place.gitvirt("adopt", "--kind", "pvc", "data", "-o", "json", code=1))
    assert (view["obstacles"], [d["path"] for d in view["differences"]]) == ([], ["spec.resources.requests.storage"])
    assert "gitvirt.io/owner" not in served(place, CLAIM)["metadata"].get("labels", {})
    place.gitvirt("adopt", "--kind", "pvc", "data", "--accept-differences", "000000000000", code=1)
    declare(place, manifest(CLAIM, claim("512Mi")))
    place.gitvirt("adopt", "--kind", "pvc", f"{place.namespace}/data")
    (note,) = place.plan()["notes"]
    assert "more than is asked for" in note["message"]


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:/PersistentVolumeClaim:a/data"}}, "Argo CD manages it"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm manages it"),
        ({"annotations": {FILLED: "other"}}, "it is the disk of DataVolume/"),
    ],
)  # fmt: skip
def test_what_another_has_is_refused(place: Place, metadata: dict[str, Any], who: str) -> None:
    upload(place, claim(), **metadata)
    declare(place, manifest(CLAIM, claim()))
    assert who in place.gitvirt("adopt", "--kind", "pvc", "data", code=1)
    assert "gitvirt.io/owner" not in served(place, CLAIM)["metadata"].get("labels", {})


def test_an_uploaded_claim_becomes_the_disk_of_its_data_volume(place: Place) -> None:
    before = upload(place, claim())
    source = {"http": {"url": "http://images.example.org/a.qcow2"}}
    declare(place, manifest(DATA_VOLUME, {"source": source, "storage": claim("2Gi", volumeMode="Block")}))
    (blocked,) = place.plan()["blocked"]
    assert f"`gitvirt adopt --kind dv {place.namespace}/data`" in blocked["by"]
    said = place.gitvirt("adopt", "--kind", "dv", "data", code=1)
    assert 'spec.storage.volumeMode: there it is "Filesystem", the manifest says "Block"' in said
    assert "has 1Gi, and the manifest asks for 2Gi" in said
    declare(place, manifest(DATA_VOLUME, {"source": source, "storage": claim()}))
    place.gitvirt("adopt", "data", code=16)
    said = place.gitvirt("adopt", "--kind", "dv", "data")
    assert "is now gitvirt's" in said
    assert "a.qcow2" not in said, "its source is not asked, and nobody is told that it is"
    wait_until(lambda: place.hands.get(DATA_VOLUME, place.namespace, "data"), "it is made")
    after = served(place, CLAIM)
    assert (after["metadata"]["uid"], after["metadata"]["annotations"][FILLED]) == (before["metadata"]["uid"], "data")
    assert served(place, DATA_VOLUME)["metadata"]["labels"]["gitvirt.io/owner"] == place.namespace


@pytest.mark.parametrize("kind", [CLAIM, DATA_VOLUME])
def test_a_backup_that_is_uploaded_in_place_of_a_lost_disk_is_taken_over(place: Place, kind: str) -> None:
    word, done = ("pvc", "Bound") if kind == CLAIM else ("dv", "Succeeded")
    spec = (
        claim() if kind == CLAIM else {"source": {"http": {"url": "http://images.example.org/a"}}, "storage": claim()}
    )
    upload(place, claim())
    declare(place, manifest(kind, spec))
    place.gitvirt("adopt", "--kind", word, "data")
    place.hands.set_status(CLAIM, place.namespace, "data", {"phase": "Bound", "capacity": {"storage": "1Gi"}})
    place.hands.set_status(kind, place.namespace, "data", {"phase": done})
    place.gitvirt("apply")
    for one in {kind, CLAIM}:
        place.hands.patch(one, place.namespace, "data", {"metadata": {"finalizers": None}})
        place.hands.delete(one, place.namespace, "data")
    (blocked,) = place.plan()["blocked"]
    assert "is gone, and gitvirt did not take it away" in blocked["by"]
    place.gitvirt("adopt", "--kind", word, "data", code=16)
    backup = upload(place, claim())
    assert "is now gitvirt's" in place.gitvirt("adopt", "--kind", word, "data")
    wait_until(lambda: place.hands.get(kind, place.namespace, "data"), "it is there")
    assert served(place, kind)["metadata"]["labels"]["gitvirt.io/owner"] == place.namespace
    assert served(place, CLAIM)["metadata"]["uid"] == backup["metadata"]["uid"]
    assert place.plan()["blocked"] == []


def test_who_holds_fields_on_the_platform_holds_them_still(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    place = place_of(tmp_path, cluster, namespace, {"about.yaml": ""})
    upload(place, claim())
    place.hands.patch(
        CLAIM, place.namespace, "data", {"metadata": {"annotations": {"cdi": "x"}}}, manager="cdi-controller"
    )
    declare(place, manifest(CLAIM, claim()))
    place.gitvirt("adopt", "--kind", "pvc", "data")
    managers = {one["manager"] for one in served(place, CLAIM)["metadata"]["managedFields"]}
    assert managers == {"cdi-controller", "gitvirt"}


def test_a_network_is_taken_over_and_its_differences_are_seen_first(place: Place) -> None:
    config = '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "br0"}'
    about = {"name": "data", "namespace": place.namespace}
    made = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": NETWORK, "metadata": about, "spec": {"config": config}}
    place.hands.create(made)
    declare(place, manifest(NETWORK, {"config": config.replace("br0", "br1")}))
    view = json.loads(place.gitvirt("adopt", "--kind", "net", "data", "-o", "json", code=1))
    assert [d["path"] for d in view["differences"]] == ["spec.config"]
    assert served(place, NETWORK)["spec"] == {"config": config}
    place.gitvirt("adopt", "--kind", "net", "data", "--accept-differences", view["accept"])
    assert "br1" in served(place, NETWORK)["spec"]["config"]
    place.gitvirt("adopt", "--kind", "net", "nowhere", code=16)
