"""KubeVirt, CDI and the cluster's own controllers, played in one namespace, as far as gitvirt can see what they do.

Level-triggered, and only when asked: `Platform.settle` does what controllers would do now, `pass_time` lets guests boot, end and be
imported. An API server and its watches are real or in memory; guests, disks and time are not.
*Source*: KubeVirt's user guide, "Run Strategies" and "Lifecycle"; CDI's documentation of DataVolumes; Kubernetes, "Persistent Volumes"
and "Garbage Collection".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeexec.kubevirt.client import APPLY
from nodeexec.kubevirt.errors import ApiError
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, KINDS, NETWORK, VM
from tests.cluster.hands import Hands
from tests.cluster.played_vms import PlayedVms
from tests.cluster.played_volumes import PlayedVolumes

STORAGE_CLASS = "gitvirt-played"
_PASSES = 20
_MOVED = (404, 409)
_SEEN = (VM, INSTANCE, DATA_VOLUME, CLAIM, NETWORK)
Listed = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Kind → name → object."""


class Platform:
    """See the module."""

    def __init__(self, hands: Hands, namespace: str) -> None:
        self._hands, self._namespace = hands, namespace
        self.volumes = PlayedVolumes(hands, namespace)
        self.vms = PlayedVms(hands, namespace, self.volumes.guest_on)

    def install(self) -> None:
        """A storage class whose claims may grow."""
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": STORAGE_CLASS},
            "provisioner": "played.gitvirt.io/disks",
            "allowVolumeExpansion": True,
        }
        path = KINDS["StorageClass"].path(name=STORAGE_CLASS)
        self._hands.call("PATCH", path, body, {"fieldManager": "tests"}, APPLY)

    def pass_time(self, seconds: float) -> None:
        """Guests and imports get on; what comes of it, `settle` does."""
        self.vms.now += seconds
        self.volumes.now += seconds

    def settle(self) -> Listed:
        """Act until there is nothing to do; what there is then. What somebody else took away or wrote meanwhile is looked at again."""
        for _ in range(_PASSES):
            listed = self._listed()
            try:
                acted = [self.vms.step(listed), self.volumes.step(listed), self._collect(listed)]
            except ApiError as error:
                if error.status not in _MOVED:
                    raise
                continue
            if not any(acted):
                return listed
        raise AssertionError(f"the controllers of {self._namespace} did not come to rest")

    def _listed(self) -> Listed:
        return {
            kind: {one["metadata"]["name"]: one for one in self._hands.list(kind, self._namespace)} for kind in _SEEN
        }

    def _collect(self, listed: Listed) -> bool:
        """What only belongs to objects that are gone, goes after them."""
        gone = list(_orphans(listed))
        for kind, name in gone:
            self._hands.delete(kind, self._namespace, name)
        return bool(gone)


def _orphans(listed: Listed) -> Iterator[tuple[str, str]]:
    there = {one["metadata"]["uid"] for objects in listed.values() for one in objects.values()}
    for kind, objects in listed.items():
        for name, one in objects.items():
            owners = [owner["uid"] for owner in one["metadata"].get("ownerReferences") or ()]
            if owners and not there & set(owners) and not one["metadata"].get("deletionTimestamp"):
                yield kind, name
