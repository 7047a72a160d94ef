"""What no test has: a node with its kubelet and scheduler, guests (virt-handler), and CDI's importers.

Level-triggered, in a thread of its own: pods of virt-launcher are bound and run, their instances run and end, claims are bound, and
imports are done at once.

*Source*: KubeVirt's architecture documentation (who sets which phase of an instance); CDI's documentation of DataVolumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from nodeexec.kubevirt.client import MERGE
from nodeexec.kubevirt.errors import ApiError, UnreachableError
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, KINDS
from tests.cluster.hands import Hands

_NODE = "node-a"
_TURN_S = 0.3
_CAPACITY = {
    "cpu": "64", "memory": "512Gi", "pods": "500",
    "devices.kubevirt.io/kvm": "1k", "devices.kubevirt.io/tun": "1k", "devices.kubevirt.io/vhost-net": "1k",
}  # fmt: skip
_AS_GO_WRITES = {"lastProbeTime": None, "lastTransitionTime": None}
"""virt-controller changes conditions only if they are there to the letter as it would write them itself."""


class Nodes:
    """See the module. ``fault`` is what went wrong in its thread, empty for nothing."""

    def __init__(self, hands: Hands, kubevirt: Path) -> None:
        """``kubevirt`` is a kubeconfig of virt-controller's account: KubeVirt lets none but its own write an instance, and of virt-handler's
        account it asks for a token that names the node.
        """
        self._hands, self._kubevirt = hands, Hands(kubevirt)
        self._over = Event()
        self._thread = Thread(target=self._run, name="nodes", daemon=True)
        self.fault = ""

    def start(self) -> None:
        """There is a node, and it works."""
        now = _now()
        labels = {
            "kubevirt.io/schedulable": "true", "kubernetes.io/hostname": _NODE, "kubernetes.io/arch": "amd64",
        }  # fmt: skip
        metadata = {"name": _NODE, "labels": labels, "annotations": {"kubevirt.io/heartbeat": now}}
        self._hands.call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        ready = [{"type": "Ready", "status": "True"}]
        status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": ready}
        self._hands.call("PATCH", f"/api/v1/nodes/{_NODE}/status", {"status": status}, kind=MERGE)
        self._thread.start()

    def stop(self) -> None:
        """The end of it."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        acts: tuple[tuple[str, Callable[[Mapping[str, Any]], None]], ...] = (
            ("/api/v1/pods", self._pod),
            (KINDS[CLAIM].path(), self._claim),
            (KINDS[INSTANCE].path(), self._instance),
            (KINDS[DATA_VOLUME].path(), self._data_volume),
        )
        while not self._over.wait(_TURN_S):
            for path, act in acts:
                with suppress(UnreachableError):
                    for one in self._hands.call("GET", path)["items"]:
                        self._acted(act, one)

    def _acted(self, act: Callable[[Mapping[str, Any]], None], one: Mapping[str, Any]) -> None:
        """An object that moved meanwhile is looked at again in the next turn."""
        try:
            act(one)
        except ApiError as error:
            if error.status not in (404, 409):
                self.fault = f"{one['metadata']['name']}: {error.message}"

    def _pod(self, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            self._hands.call("DELETE", path, {"gracePeriodSeconds": 0})
        elif not pod["spec"].get("nodeName"):
            named = {"name": metadata["name"], "namespace": metadata["namespace"]}
            target = {"apiVersion": "v1", "kind": "Node", "name": _NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
            self._hands.call("POST", f"{path}/binding", binding)
        elif pod["status"].get("phase") == "Pending":
            self._hands.call("PATCH", f"{path}/status", {"status": _running(pod)}, kind=MERGE)

    def _claim(self, claim: Mapping[str, Any]) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        is_open = (claim.get("status") or {}).get("phase") == "Pending" and not spec.get("volumeName")
        if not is_open or metadata.get("deletionTimestamp"):
            return
        of = {"kind": CLAIM, "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        volume = {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "hostPath": {"path": "/nowhere"},
            "claimRef": of,
        }
        made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pv-{of['uid']}"}, "spec": volume}
        self._hands.call("POST", "/api/v1/persistentvolumes", made)

    def _instance(self, instance: Mapping[str, Any]) -> None:
        metadata, status = instance["metadata"], instance.get("status") or {}
        phase, path = status.get("phase"), KINDS[INSTANCE].path(metadata["namespace"], metadata["name"])
        if metadata.get("deletionTimestamp") and phase in ("Running", "Scheduled"):
            self._kubevirt.call("PATCH", path, {"status": {"phase": "Succeeded"}}, kind=MERGE)
        elif phase == "Scheduled":
            said = [one for one in status.get("conditions") or () if one["type"] not in ("Ready", "LiveMigratable")]
            said += [{"type": kind, "status": "True", **_AS_GO_WRITES} for kind in ("Ready", "LiveMigratable")]
            change = {"status": {"phase": "Running", "conditions": said}}
            self._kubevirt.call("PATCH", path, change, kind=MERGE)

    def _data_volume(self, volume: Mapping[str, Any]) -> None:
        metadata = volume["metadata"]
        if (volume.get("status") or {}).get("phase") == "Succeeded" or metadata.get("deletionTimestamp"):
            return
        asked = volume["spec"].get("storage") or volume["spec"].get("pvc")
        owner = {
            "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": DATA_VOLUME, "name": metadata["name"], "uid": metadata["uid"],
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        claim = {
            "apiVersion": "v1",
            "kind": CLAIM,
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "ownerReferences": [owner]},
            "spec": {"accessModes": asked.get("accessModes") or ["ReadWriteOnce"], "resources": asked["resources"]},
        }
        if self._hands.get(CLAIM, metadata["namespace"], metadata["name"]) is None:
            self._hands.create(claim, manager="cdi-controller")
        true = [{"type": kind, "status": "True"} for kind in ("Ready", "Bound")]
        done = {"phase": "Succeeded", "progress": "100.0%", "conditions": true}
        self._hands.set_status(DATA_VOLUME, metadata["namespace"], metadata["name"], done)


def _running(pod: Mapping[str, Any]) -> dict[str, Any]:
    begun = {"running": {"startedAt": _now()}}
    containers = [
        {"name": one["name"], "ready": True, "started": True, "restartCount": 0, "image": one["image"], "imageID": "none", "state": begun}
        for one in pod["spec"]["containers"]
    ]  # fmt: skip
    true = [{"type": kind, "status": "True"} for kind in ("Ready", "PodScheduled", "Initialized", "ContainersReady")]
    address = "10.1.1.1"
    return {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1",
        "containerStatuses": containers, "conditions": true,
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
