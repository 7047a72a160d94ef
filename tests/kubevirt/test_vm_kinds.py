"""Snapshots, pools, instance types and preferences from a repository on KubeVirt's real control plane: done, shown, silent, and never pruned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.kinds import VM
from tests.cluster.hands import wait_until
from tests.cluster.place import Place, place_of
from tests.cluster.planes import Cluster
from tests.kubevirt.watching import nothing_to_do, running

SIZES = """apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineInstancetype
metadata: {name: small}
spec: {cpu: {guest: 2}, memory: {guest: 1Gi}}
---
apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachinePreference
metadata: {name: linux}
spec: {devices: {preferredDiskBus: virtio}}
"""
WEB = """apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  runStrategy: Always
  instancetype: {kind: VirtualMachineInstancetype, name: small}
  preference: {kind: VirtualMachinePreference, name: linux}
  template:
    spec:
      domain:
        devices:
          disks: [{name: scratch, disk: {}}]
          interfaces: [{name: default, masquerade: {}}]
      networks: [{name: default, pod: {}}]
      volumes: [{name: scratch, emptyDisk: {capacity: 1Gi}}]
"""
SNAPSHOT = """apiVersion: snapshot.kubevirt.io/v1beta1
kind: VirtualMachineSnapshot
metadata: {name: before}
spec: {source: {apiGroup: kubevirt.io, kind: VirtualMachine, name: web}}
"""
POOL = """apiVersion: pool.kubevirt.io/v1beta1
kind: VirtualMachinePool
metadata: {name: farm}
spec:
  replicas: 2
  selector: {matchLabels: {farm: "yes"}}
  virtualMachineTemplate:
    metadata: {labels: {farm: "yes"}}
    spec:
      runStrategy: Always
      template:
        metadata: {labels: {farm: "yes"}}
        spec:
          domain:
            memory: {guest: 64Mi}
            devices: {}
"""
OF_POOL = {"farm-0", "farm-1"}


@pytest.fixture
def place(tmp_path: Path, kubevirt: Cluster, namespace: str) -> Place:
    """All of them in one repository, applied; what KubeVirt makes of them runs."""
    files = {"sizes.yaml": SIZES, "web.yaml": WEB, "pool.yaml": POOL}
    made = place_of(tmp_path, kubevirt, namespace, files)
    made.gitvirt("apply")
    for name in ("web", *sorted(OF_POOL)):
        running(made, name)
    return made


def shown(place: Place, kind: str) -> dict[str, Any]:
    """What is told of the one object of a kind."""
    rows = json.loads(place.gitvirt("get", "all", "-o", "json"))["items"]
    (found,) = [row for row in rows if row["object"].startswith(f"{kind}.")]
    return dict(found)


def test_they_are_done_by_kubevirt_and_shown_and_then_there_is_nothing_to_do(place: Place) -> None:
    nothing_to_do(place)
    table = place.gitvirt("get", "vm")
    assert "1Gi" in table and "farm" not in table
    place.home.commit({"snapshot.yaml": SNAPSHOT})
    place.gitvirt("apply")
    wait_until(lambda: "Succeeded" in str(shown(place, "VirtualMachineSnapshot")), "the snapshot is there", 60.0)
    wait_until(lambda: "2/2 ready" in str(shown(place, "VirtualMachinePool")), "the pool is ready", 60.0)
    nothing_to_do(place)
    place.home.commit({"pool.yaml": POOL.replace("replicas: 2", "replicas: 3")})
    place.gitvirt("apply")
    running(place, "farm-2")
    wait_until(lambda: "3/3 ready" in str(shown(place, "VirtualMachinePool")), "the pool is ready again", 60.0)
    nothing_to_do(place)


def test_nothing_of_them_goes_with_its_manifest(place: Place) -> None:
    place.home.commit({"snapshot.yaml": SNAPSHOT})
    place.gitvirt("apply")
    place.home.commit({"snapshot.yaml": None, "pool.yaml": None})
    plan = place.plan()
    assert (plan["changes"], plan["held"]) == ([], [])
    assert {(one["object"].partition(".")[0], one["code"]) for one in plan["notes"]} == {
        ("VirtualMachineSnapshot", "resource-kept"),
        ("VirtualMachinePool", "resource-kept"),
    }
    place.gitvirt("apply")
    assert place.names(VM) == {"web", *OF_POOL}
    for path in ("snapshot.kubevirt.io/v1beta1/namespaces/{}/virtualmachinesnapshots/before",
                 "pool.kubevirt.io/v1beta1/namespaces/{}/virtualmachinepools/farm"):  # fmt: skip
        found = place.hands.call("GET", f"/apis/{path.format(place.namespace)}")
        assert not found["metadata"].get("deletionTimestamp")
