"""The sample repository on KubeVirt's real control plane: taken as it is, silent afterwards, and no disk lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, VM
from tests.cluster.hands import wait_until
from tests.cluster.place import Place, sample_place
from tests.cluster.planes import Cluster
from tests.kubevirt.watching import nothing_to_do, running


@pytest.fixture
def place(tmp_path: Path, kubevirt: Cluster, namespace: str) -> Place:
    """The sample repository, applied."""
    made = sample_place(tmp_path, kubevirt, namespace)
    made.gitvirt("apply")
    return made


def test_it_is_taken_as_it_is_and_then_there_is_nothing_to_do(place: Place) -> None:
    assert place.names(VM) == {"web", "db"}
    for name in ("web", "db"):
        running(place, name)
    nothing_to_do(place)
    shown = json.loads(place.gitvirt("get", "vm", "-o", "json"))["items"]
    assert {one["status"] for one in shown} == {"Running"}


def test_a_vm_goes_its_disk_stays_and_a_revert_takes_it_back(place: Place) -> None:
    running(place, "web")
    disk, claim = volume(place, DATA_VOLUME), volume(place, CLAIM)
    assert [one["kind"] for one in disk["metadata"]["ownerReferences"]] == [VM], "KubeVirt took it into its ownership"
    place.home.git("rm", "-q", "vms/web.yaml")
    place.commit("no web")
    wait_until(lambda: place.gitvirt("apply") and place.names(VM) == {"db"}, "the VM is gone", 60.0)
    place.gitvirt("apply")
    collects_garbage(place)
    kept = volume(place, DATA_VOLUME)
    assert (kept["metadata"]["uid"], volume(place, CLAIM)["metadata"]["uid"]) == (
        disk["metadata"]["uid"],
        claim["metadata"]["uid"],
    )
    assert "gitvirt.io/trash" in kept["metadata"]["labels"]
    assert not kept["metadata"].get("ownerReferences")
    place.home.git("revert", "--no-edit", "HEAD")
    said = place.gitvirt("apply")
    assert place.names(VM) == {"web", "db"}, said
    running(place, "web")
    again = volume(place, DATA_VOLUME)
    assert again["metadata"]["uid"] == disk["metadata"]["uid"]
    assert "gitvirt.io/trash" not in again["metadata"]["labels"]
    nothing_to_do(place)


def volume(place: Place, kind: str) -> dict[str, Any]:
    """What the system disk of the VM is in, not being deleted."""
    found = place.hands.get(kind, place.namespace, "web-system")
    assert found is not None
    assert not found["metadata"].get("deletionTimestamp")
    return found


def collects_garbage(place: Place) -> None:
    """The collector is awake: a thing whose owner is gone is taken, so what is still there was spared."""
    gone = {"apiVersion": "kubevirt.io/v1", "kind": VM, "name": "web", "uid": "00000000-0000-0000-0000-000000000000"}
    metadata = {"name": "sentinel", "namespace": place.namespace, "ownerReferences": [gone]}
    place.hands.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})
    wait_until(lambda: place.hands.get("ConfigMap", place.namespace, "sentinel") is None, "it is collected", 60.0)
