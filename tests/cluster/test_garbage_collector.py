"""With the real garbage collector at work: disks outlive their VM."""

from __future__ import annotations

import pytest

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, VM
from tests.cluster.hands import wait_until
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.cluster.site import ClusterSite
from tests.cluster.test_engine import made
from tests.contract.builders import create, delete


def test_the_disks_of_a_deleted_vm_survive_it_and_come_back(real_site: ClusterSite, cluster: Cluster) -> None:
    site = real_site
    if cluster.plane is None or not ControlPlane.has_garbage_collector():
        pytest.skip("no kube-controller-manager in KUBEBUILDER_ASSETS to collect garbage")
    cluster.plane.start_garbage_collector()
    try:
        disks_survive(site)
    finally:
        cluster.plane.stop_controllers()


def disks_survive(site: ClusterSite) -> None:
    root = site.data_volume("root")
    made(site, root)
    storage = {"resources": {"requests": {"storage": "16Mi"}}}
    template = {"metadata": {"name": "root"}, "spec": {"source": {"blank": {}}, "storage": storage}}
    vm = site.vm("web", disks={"root": root}, templates=(template,))
    made(site, vm)
    own(site, VM, "web", DATA_VOLUME, "root")
    spec = {"accessModes": ["ReadWriteOnce"], **storage}
    metadata = {"name": "root", "namespace": site.namespace}
    site.hands.create({"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": spec})
    own(site, DATA_VOLUME, "root", CLAIM, "root")
    live = site.caught_up(vm.key)
    assert live is not None
    assert "ownerReferences" in str(site.caught_up(root.key))
    site.engine.apply(delete(live))
    wait_until(lambda: site.look(vm.key) is None, "the VM is gone", 60.0)
    sentinel(site)
    kept = site.hands.get(DATA_VOLUME, site.namespace, "root")
    assert kept is not None
    assert site.hands.get(CLAIM, site.namespace, "root") is not None
    assert site.engine.apply(create(vm)).result == "applied"
    again = site.hands.get(DATA_VOLUME, site.namespace, "root")
    assert again is not None
    assert again["metadata"]["uid"] == kept["metadata"]["uid"]


def own(site: ClusterSite, owner_kind: str, owner: str, kind: str, name: str) -> None:
    """What KubeVirt and CDI do: the one belongs to the other."""
    by = site.hands.get(owner_kind, site.namespace, owner)
    assert by is not None
    reference = {"apiVersion": by["apiVersion"], "kind": owner_kind, "name": owner, "uid": by["metadata"]["uid"]}
    site.hands.patch(kind, site.namespace, name, {"metadata": {"ownerReferences": [{**reference, "controller": True}]}})


def sentinel(site: ClusterSite) -> None:
    """The collector is awake: a thing whose owner is gone is taken, so what is still there was spared."""
    gone = {"apiVersion": "kubevirt.io/v1", "kind": VM, "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}
    metadata = {"name": "sentinel", "namespace": site.namespace, "ownerReferences": [gone]}
    site.hands.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})
    wait_until(lambda: site.hands.get("ConfigMap", site.namespace, "sentinel") is None, "it is collected", 60.0)
