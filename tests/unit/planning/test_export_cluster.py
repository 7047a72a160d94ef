"""A VM of a cluster as manifests: what platforms and tools wrote for themselves is left out, and so is what is secret."""

from __future__ import annotations

from typing import Any

from reconciler.model.adoption import FoundVm
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.power import PowerState
from reconciler.planning.export_cluster import export_documents

VM = ObjectKey("VirtualMachine", "shop", "web")
ROOT = ObjectKey("DataVolume", "shop", "root")
DATA = ObjectKey("PersistentVolumeClaim", "shop", "data")


def found(**documents: dict[str, Any]) -> FoundVm:
    """A VM with these documents, by the names above."""
    live = LiveVm(key=VM, fingerprint="", marks=None, stored=None, running=None, power=PowerState.OFF)
    keys = {"vm": VM, "root": ROOT, "data": DATA}
    return FoundVm(
        name="shop/web", uuid="", live=live, documents={keys[name]: body for name, body in documents.items()}
    )


def vm(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A VirtualMachine with this in its template."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "web", "namespace": "shop", "uid": "1", "generation": 3, **metadata},
        "spec": {"runStrategy": "Always", "template": {"metadata": {"creationTimestamp": None}, "spec": spec}},
        "status": {"ready": True},
    }


def test_what_is_secret_is_compared_and_not_shown() -> None:
    seed = {"name": "seed", "cloudInitNoCloud": {"userData": "password: hunter2", "networkData": "hunter3"}}
    exported = export_documents(found(vm=vm({"domain": {}, "volumes": [seed]})), {})
    assert exported.documents[VM]["spec"]["template"]["spec"]["volumes"] == [{"name": "seed", "cloudInitNoCloud": {}}]
    assert "hunter" not in repr((exported.documents, exported.notes, exported.missing))
    assert exported.read_back[VM]["spec"]["template"]["spec"]["volumes"] == [seed]
    assert [text.partition(":")[0] for text in exported.missing] == [
        "spec.template.spec.volumes[seed].cloudInitNoCloud.userData",
        "spec.template.spec.volumes[seed].cloudInitNoCloud.networkData",
    ]


def test_bookkeeping_goes_and_what_somebody_wrote_stays() -> None:
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "kubevirt.io/latest-observed-api-version": "v1",
        "argocd.argoproj.io/tracking-id": "a",
        "vm.kubevirt.io/os": "fedora",
    }
    labels = {"kustomize.toolkit.fluxcd.io/name": "a", "app.kubernetes.io/managed-by": "Helm", "app": "shop"}
    domain = {"resources": {}, "machine": {"type": "q35"}, "devices": {"interfaces": [{"name": "n", "bridge": {}}]}}
    made = export_documents(found(vm=vm({"domain": domain}, annotations=annotations, labels=labels)), {}).documents[VM]
    assert made["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "shop"},
        "annotations": {"gitvirt.io/adopt": "web", "vm.kubevirt.io/os": "fedora"},
    }
    assert made["spec"]["template"] == {
        "spec": {"domain": {"machine": {"type": "q35"}, "devices": {"interfaces": [{"name": "n", "bridge": {}}]}}}
    }
    assert "status" not in made


def test_a_claim_loses_the_volume_that_it_got_and_a_template_keeps_its_data_volume_to_itself() -> None:
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "snapshot.storage.k8s.io"}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {
            **storage,
            "storageClassName": "fast",
            "volumeMode": "Filesystem",
            "volumeName": "pv-1",
            "dataSource": source,
            "dataSourceRef": source,
        },
    }
    root = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {"name": "root"}, "spec": {}}
    body = vm({"domain": {}})
    body["spec"]["dataVolumeTemplates"] = [{"metadata": {"name": "root", "creationTimestamp": None}, "spec": {}}]
    documents = export_documents(found(vm=body, root=root, data=claim), {}).documents
    assert set(documents) == {VM, DATA}
    assert documents[DATA]["spec"] == {**storage, "storageClassName": "fast", "dataSource": source}
    assert documents[DATA]["metadata"]["annotations"] == {"gitvirt.io/adopt": "data"}
    assert documents[VM]["spec"]["dataVolumeTemplates"] == [{"metadata": {"name": "root"}, "spec": {}}]
