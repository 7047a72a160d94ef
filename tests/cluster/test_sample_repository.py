"""The sample repository, unchanged, on a real API server, with the commands of a user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, NETWORK, VM
from tests.cluster.place import Place, sample_place
from tests.cluster.planes import Cluster


@pytest.fixture
def place(tmp_path: Path, either: Cluster, own_namespace: str) -> Iterator[Place]:
    """The sample repository beside a namespace of its own."""
    yield sample_place(tmp_path, either, own_namespace)


@pytest.mark.parametrize("either", ["real"], indirect=True)
def test_doctor_says_when_nobody_could_act(place: Place) -> None:
    assert "can be had" in place.gitvirt("doctor")
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{place.namespace}/leases"
    assert place.hands.call("GET", leases)["items"] == []
    said = place.gitvirt("doctor", "--set", "engine.kubevirt.leaseNamespace=nowhere-at-all", code=1)
    assert "`kubectl create namespace nowhere-at-all`" in said


def test_the_sample_is_applied_deleted_and_taken_back(place: Place) -> None:
    doctor = place.gitvirt("doctor")
    assert "kubevirt" in doctor
    assert not any(word in doctor for word in ("pool", "emulation"))
    plan: dict[str, Any] = json.loads(place.gitvirt("plan", "-o", "json"))
    kinds = [change["object"].partition("/")[0] for change in plan["changes"]]
    assert kinds == [NETWORK, DATA_VOLUME, DATA_VOLUME, DATA_VOLUME, CLAIM, VM, VM]
    assert {change["reason"].partition(";")[0] for change in plan["changes"]} == {"not in the cluster yet"}
    place.gitvirt("apply")
    assert place.names(VM) == {"web", "db"}
    assert place.names(DATA_VOLUME) == {"demo-image", "web-system", "db-system"}
    assert place.names(CLAIM) == {"db-data"}
    assert place.names(NETWORK) == {"backend"}
    again: dict[str, Any] = json.loads(place.gitvirt("plan", "-o", "json"))
    assert (again["changes"], again["held"], again["blocked"]) == ([], [], [])
    shown = place.gitvirt("get", "vm")
    assert "web" in shown
    assert "128Mi" in shown
    uid = place.hands.get(DATA_VOLUME, place.namespace, "web-system")["metadata"]["uid"]
    place.home.git("rm", "-q", "vms/web.yaml")
    place.commit("no web")
    place.gitvirt("apply")
    place.gitvirt("apply")
    assert place.names(VM) == {"db"}
    trash = json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"]
    assert [one["object"] for one in trash] == [f"{DATA_VOLUME}/{place.namespace}/web-system"]
    place.home.git("revert", "--no-edit", "HEAD")
    place.gitvirt("apply")
    assert place.names(VM) == {"web", "db"}
    back = place.hands.get(DATA_VOLUME, place.namespace, "web-system")
    assert back is not None
    assert back["metadata"]["uid"] == uid
    assert "gitvirt.io/trash" not in back["metadata"]["labels"]
    assert json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"] == []
    assert "web" in place.gitvirt("audit")
    place.home.git("rm", "-q", "-r", "vms")
    place.commit("no VMs")
    place.gitvirt("apply")
    assert place.names(VM) == {"web", "db"}
    plan = json.loads(place.gitvirt("plan", "-o", "json"))
    (hold,) = [one for one in plan["held"] if any(VM in change["object"] for change in one["changes"])]
    assert hold["rule"] == "blast-radius"
    place.gitvirt("approve", hold["hold_id"])
    assert place.names(VM) == set()
    assert place.names(DATA_VOLUME) == {"demo-image", "web-system", "db-system"}
