"""An existing VM of a cluster as manifests: its own documents, without what the platform and other tools wrote into them. Pure.

What a guest sees stays, also where the platform filled it in: UUID, serial number, MACs, machine type. So the same machine comes back after a `git revert`.
*Source*: what the API servers of Kubernetes, KubeVirt and CDI add to objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.adoption import ADOPT, FoundVm
from reconciler.model.keys import ObjectKey
from reconciler.model.secret import SECRET_FIELDS
from reconciler.planning.export_vm import Documents, Exported

_VM = "VirtualMachine"
_CLAIM = "PersistentVolumeClaim"
_LABELS = (
    "gitvirt.io/", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "applyset.kubernetes.io/",
    "objectset.rio.cattle.io/", "app.kubernetes.io/managed-by", "cdi.kubevirt.io/",
)  # fmt: skip
_ANNOTATIONS = (
    "gitvirt.io/", "argocd.argoproj.io/", "meta.helm.sh/", "objectset.rio.cattle.io/", "kubectl.kubernetes.io/last-applied",
    "kubevirt.io/latest-observed-api-version", "kubevirt.io/storage-observed-api-version", "kubevirt.io/pci-topology", "kubemacpool.io/",
    "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/", "cdi.kubevirt.io/clone", "cdi.kubevirt.io/created",
    "cdi.kubevirt.io/ownedBy", "cdi.kubevirt.io/storage.condition", "cdi.kubevirt.io/storage.contentType", "cdi.kubevirt.io/storage.import",
    "cdi.kubevirt.io/storage.pod", "cdi.kubevirt.io/storage.populator", "cdi.kubevirt.io/storage.prePopulated",
    "cdi.kubevirt.io/storage.preallocation", "cdi.kubevirt.io/storage.usePopulator",
)  # fmt: skip
"""How the names begin that others write for themselves."""
_EMPTY_IS_NOTHING = ("annotations", "creationTimestamp", "labels", "metadata", "resources")


def export_documents(found: FoundVm, taken: Documents) -> Exported:
    """The manifests of a VM and of the claims that it stands on. ``taken`` are those of other VMs of the same export."""
    vm = next(key for key in found.documents if key.kind == _VM)
    template_claims = {
        str((one.get("metadata") or {}).get("name"))
        for one in (found.documents[vm].get("spec") or {}).get("dataVolumeTemplates") or ()
    }
    whole = {
        key: taken.get(key) or _manifest(key, document)
        for key, document in found.documents.items()
        if key.name not in template_claims or key == vm
    }
    secret = tuple(_secrets(whole[vm]))
    return Exported(
        vm=vm,
        documents={**whole, vm: _without_secrets(whole[vm])},
        notes={vm: tuple(_notes(whole[vm]))},
        classes={},
        bridges=(),
        missing=tuple(
            f"{path}: put it into a Secret that is encrypted in the repository, or on the cluster, and write secretRef here"
            for path in secret
        ),
        read_back={vm: whole[vm]} if secret else {},
    )


def _manifest(key: ObjectKey, document: Mapping[str, Any]) -> dict[str, Any]:
    metadata = document.get("metadata") or {}
    labels = _others(metadata.get("labels"), _LABELS)
    annotations = {ADOPT: key.name, **_others(metadata.get("annotations"), _ANNOTATIONS)}
    spec = _said(document.get("spec") or {})
    if key.kind == _CLAIM:
        spec = _claim(spec)
    return {
        "apiVersion": document["apiVersion"],
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            **({"labels": labels} if labels else {}),
            "annotations": annotations,
        },
        "spec": spec,
    }


def _others(said: Mapping[str, str] | None, prefixes: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in (said or {}).items() if not name.startswith(prefixes)}


def _said(node: Any) -> Any:
    """A document without what says nothing: nulls, and empty maps where an empty map is not a choice. Names come first, for people."""
    if isinstance(node, Mapping):
        kept = {
            name: _said(node[name]) for name in sorted(node, key=lambda name: name != "name") if node[name] is not None
        }
        if "annotations" in kept and isinstance(kept["annotations"], dict):
            kept["annotations"] = _others(kept["annotations"], _ANNOTATIONS)
        return {name: value for name, value in kept.items() if value != {} or name not in _EMPTY_IS_NOTHING}
    if isinstance(node, list):
        return [_said(value) for value in node]
    return node


def _claim(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A claim without the volume that it got, and what is so by itself."""
    kept = {name: value for name, value in spec.items() if name != "volumeName"}
    if kept.get("volumeMode") == "Filesystem":
        del kept["volumeMode"]
    if "dataSourceRef" in kept and kept.get("dataSource") == kept["dataSourceRef"]:
        del kept["dataSourceRef"]
    return kept


def _notes(document: Mapping[str, Any]) -> Iterator[str]:
    template = (document["spec"].get("template") or {}).get("spec") or {}
    for network in template.get("networks") or ():
        name = (network.get("multus") or {}).get("networkName")
        if name:
            yield f"NetworkAttachmentDefinition {name} stays the cluster's; declare it to have gitvirt keep it."


def _secrets(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            below = f"{path}.{name}" if path else str(name)
            if name in SECRET_FIELDS:
                yield below
            else:
                yield from _secrets(value, below)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            name = value.get("name", index) if isinstance(value, Mapping) else index
            yield from _secrets(value, f"{path}[{name}]")


def _without_secrets(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _without_secrets(value) for name, value in node.items() if name not in SECRET_FIELDS}
    if isinstance(node, list):
        return [_without_secrets(value) for value in node]
    return node
