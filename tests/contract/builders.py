"""Wanted objects for the contract suite: manifests as a user would write them, resolved by the real resolver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVolume, TrashItem
from reconciler.model.plan import Action, Cause, Change, Impact
from reconciler.model.policy import Policy
from reconciler.model.power import PowerStep
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_network import resolve_network
from reconciler.planning.resolve_vm import References, VolumePlace, resolve_vm
from reconciler.planning.resolve_volume import resolve_volume

API = {
    "VirtualMachine": "kubevirt.io/v1",
    "PersistentVolumeClaim": "v1",
    "DataVolume": "cdi.kubevirt.io/v1beta1",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io/v1",
}


def digest(content: bytes) -> str:
    """The keyed digest of the tests."""
    return hashlib.sha256(b"tests" + content).hexdigest()[:12]


def document(
    kind: str, namespace: str, name: str, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None
) -> Document:
    """A manifest that was never in a file."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if annotations:
        metadata["annotations"] = dict(annotations)
    body = {"apiVersion": API[kind], "kind": kind, "metadata": metadata, "spec": dict(spec)}
    text = json.dumps(body, sort_keys=True).encode()
    return Document(
        key=ObjectKey(kind, namespace, name),
        api_version=API[kind],
        body=body,
        digest=hashlib.sha256(text).hexdigest(),
        file=f"{name}.yaml",
    )


@dataclass(kw_only=True)
class Site:
    """One namespace of one host, with what was declared in it so far. ``storage_class`` is what claims name, empty for none."""

    policy: Policy
    namespace: str
    storage_class: str = ""
    volumes: dict[ObjectKey, ResolvedVolume] = field(default_factory=dict)
    networks: dict[ObjectKey, ResolvedNetwork] = field(default_factory=dict)

    def claim(
        self, name: str, size: str = "16Mi", *, block: bool = False, annotations: Mapping[str, str] | None = None
    ) -> ResolvedVolume:
        """A PersistentVolumeClaim."""
        spec = self._claim_spec(size) | ({"volumeMode": "Block"} if block else {})
        return self.declared(document("PersistentVolumeClaim", self.namespace, name, spec, annotations))

    def data_volume(
        self,
        name: str,
        source: Mapping[str, Any] | None = None,
        size: str = "16Mi",
        *,
        annotations: Mapping[str, str] | None = None,
    ) -> ResolvedVolume:
        """A DataVolume from ``source`` as its manifest says it; blank by itself."""
        spec = {"source": dict(source or {"blank": {}}), "storage": self._claim_spec(size)}
        return self.declared(document("DataVolume", self.namespace, name, spec, annotations))

    def _claim_spec(self, size: str) -> dict[str, Any]:
        named = {"storageClassName": self.storage_class} if self.storage_class else {}
        return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **named}

    def declared(self, manifest: Document) -> ResolvedVolume:
        resolved = self.volumes[manifest.key] = self._resolve_volume(manifest)
        return resolved

    def _resolve_volume(self, manifest: Document) -> ResolvedVolume:
        return resolve_volume(
            manifest, policy=self.policy, digest=digest, classes={}, documents={}, live=None, owner_vm=None
        )

    def network(self, name: str, *, bridge: str = "br0", mtu: int = 0) -> ResolvedNetwork:
        """A NetworkAttachmentDefinition with a bridge of its own."""
        config: dict[str, Any] = {"cniVersion": "0.3.1", "type": "bridge", "bridge": bridge}
        if mtu:
            config["mtu"] = mtu
        manifest = document("NetworkAttachmentDefinition", self.namespace, name, {"config": json.dumps(config)})
        resolved = self.networks[manifest.key] = self._resolve_network(manifest)
        return resolved

    def _resolve_network(self, manifest: Document) -> ResolvedNetwork:
        return resolve_network(manifest, policy=self.policy, digest=digest, host_bridges=())

    def vm(
        self,
        name: str,
        *,
        disks: Mapping[str, ResolvedVolume] | None = None,
        nics: Mapping[str, ResolvedNetwork] | None = None,
        run_strategy: str = "Always",
        memory: str = "64Mi",
        grace_s: int = 30,
        user_data: str = "",
        bootloader: str = "",
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        templates: tuple[Mapping[str, Any], ...] = (),
    ) -> ResolvedVm:
        """A VirtualMachine. ``disks`` and ``nics`` map the device's name to what it stands on."""
        volumes = [self._vm_volume(disk, volume) for disk, volume in (disks or {}).items()]
        devices: dict[str, Any] = {
            "disks": [{"name": disk, "disk": {"bus": "virtio"}} for disk in disks or {}],
            "interfaces": [{"name": nic, "bridge": {}} for nic in nics or {}],
        }
        if not nics:
            devices["autoattachPodInterface"] = False
        if user_data:
            devices["disks"].append({"name": "seed", "disk": {"bus": "virtio"}})
            volumes.append({"name": "seed", "cloudInitNoCloud": {"userData": user_data}})
        domain: dict[str, Any] = {"memory": {"guest": memory}, "devices": devices}
        if bootloader == "efi":
            domain["firmware"] = {"bootloader": {"efi": {"secureBoot": False}}}
        template = {
            "metadata": {"labels": dict(labels or {})},
            "spec": {
                "domain": domain,
                "terminationGracePeriodSeconds": grace_s,
                "networks": [
                    {"name": nic, "multus": {"networkName": network.key.name}} for nic, network in (nics or {}).items()
                ],
                "volumes": volumes,
            },
        }
        spec: dict[str, Any] = {"runStrategy": run_strategy, "template": template}
        if templates:
            spec["dataVolumeTemplates"] = [dict(one) for one in templates]
        manifest = document("VirtualMachine", self.namespace, name, spec, annotations)
        places = {key: VolumePlace.of(volume, self.policy.owner) for key, volume in self.volumes.items()}
        return self._resolve_vm(manifest, References(documents={}, volumes=places, networks=frozenset(self.networks)))

    def _resolve_vm(self, manifest: Document, references: References) -> ResolvedVm:
        return resolve_vm(manifest, references, policy=self.policy, digest=digest)

    @staticmethod
    def _vm_volume(disk: str, volume: ResolvedVolume) -> dict[str, Any]:
        if volume.key.kind == "DataVolume":
            return {"name": disk, "dataVolume": {"name": volume.key.name}}
        return {"name": disk, "persistentVolumeClaim": {"claimName": volume.key.name}}


def create(wanted: Resolved, *, power: PowerStep | None = None, restore: str = "") -> Change:
    """The change that planning would make for an object that is not there."""
    return Change(
        key=wanted.key,
        action=Action.CREATE,
        cause=Cause.COMMIT,
        impact=Impact.NONE,
        reason="not on this host yet",
        expected="",
        revision="1" * 40,
        wanted=wanted,
        power=power,
        restore=restore,
    )


def update(
    wanted: Resolved, live: LiveObject, *, power: PowerStep | None = None, action: Action = Action.UPDATE
) -> Change:
    """The change that planning would make for a live object that is to become ``wanted``."""
    return replace(
        create(wanted, power=power),
        action=action,
        reason="fields differ",
        expected=live.fingerprint,
        revision="2" * 40,
    )


def delete(live: LiveObject) -> Change:
    """The change that planning would make for an object that Git holds no more."""
    return Change(
        key=live.key,
        action=Action.DELETE,
        cause=Cause.COMMIT,
        impact=Impact.REPLACE,
        reason="removed from Git",
        expected=live.fingerprint,
        revision="3" * 40,
    )


def expire(item: TrashItem, *, aged_s: int) -> Change:
    """The change that planning would make for a trash item that was seen for so long."""
    return Change(
        key=item.expiry_key,
        action=Action.DELETE,
        cause=Cause.EXPIRY,
        impact=Impact.DATA_LOSS,
        reason="its time is over",
        expected=str(aged_s),
        revision=item.revision,
    )


def is_ready(live: LiveObject | None) -> bool:
    """Whether a volume can be used."""
    return isinstance(live, LiveVolume) and live.phase == "Succeeded"
