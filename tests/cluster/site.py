"""One namespace of a cluster with an engine of its own, and what was declared in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_cluster import network_of_cluster, vm_of_cluster, volume_of_cluster
from reconciler.planning.resolve_vm import References, VolumePlace
from tests.cluster.hands import Hands
from tests.contract.builders import digest, document


@dataclass(kw_only=True)
class ClusterSite:
    """See the module."""

    hands: Hands
    kubeconfig: Path
    namespace: str
    policy: Policy
    volumes: dict[ObjectKey, ResolvedVolume] = field(default_factory=dict)
    networks: dict[ObjectKey, ResolvedNetwork] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = self.another_engine()

    def another_engine(self, **settings: Any) -> KubevirtEngine:
        """An engine that sees this namespace alone."""
        made = {"kubeconfig": str(self.kubeconfig), "namespaces": (self.namespace,), **self.settings, **settings}
        return KubevirtEngine(KubevirtSettings(**made), self.policy, SystemClock())

    def look(self, key: ObjectKey) -> LiveObject | None:
        """A live object, with nothing unreadable."""
        observation = self.engine.observe([key])
        assert not observation.is_unknown(key), observation.unreadable
        return observation.objects.get(key)

    def writes(self) -> int:
        """How many requests that write were made."""
        return sum(count for method, count in self.engine.requests.items() if method != "GET")

    def claim(self, name: str, size: str = "16Mi") -> ResolvedVolume:
        """A PersistentVolumeClaim."""
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        return self._volume("PersistentVolumeClaim", name, spec)

    def data_volume(self, name: str, source: Mapping[str, Any] | None = None, size: str = "16Mi") -> ResolvedVolume:
        """A DataVolume."""
        storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        return self._volume("DataVolume", name, {"source": dict(source or {"blank": {}}), "storage": storage})

    def _volume(self, kind: str, name: str, spec: Mapping[str, Any]) -> ResolvedVolume:
        made = volume_of_cluster(document(kind, self.namespace, name, spec), digest, None)
        self.volumes[made.key] = made
        return made

    def network(self, name: str, config: str = '{"cniVersion": "0.3.1", "type": "bridge"}') -> ResolvedNetwork:
        """A NetworkAttachmentDefinition."""
        made = network_of_cluster(
            document("NetworkAttachmentDefinition", self.namespace, name, {"config": config}), digest
        )
        self.networks[made.key] = made
        return made

    def vm(
        self,
        name: str,
        *,
        disks: Mapping[str, ResolvedVolume] | None = None,
        nics: Mapping[str, ResolvedNetwork] | None = None,
        run_strategy: str = "Always",
        memory: str = "64Mi",
        user_data: str = "",
        annotations: Mapping[str, str] | None = None,
        templates: tuple[Mapping[str, Any], ...] = (),
    ) -> ResolvedVm:
        """A VirtualMachine. ``disks`` and ``nics`` map the device's name to what it stands on."""
        volumes: list[dict[str, Any]] = [_vm_volume(disk, volume) for disk, volume in (disks or {}).items()]
        entries = [{"name": disk, "disk": {"bus": "virtio"}} for disk in disks or {}]
        if user_data:
            entries.append({"name": "seed", "disk": {"bus": "virtio"}})
            volumes.append({"name": "seed", "cloudInitNoCloud": {"userData": user_data}})
        devices = {"disks": entries, "interfaces": [{"name": nic, "bridge": {}} for nic in nics or {}]}
        networks = [{"name": nic, "multus": {"networkName": net.key.name}} for nic, net in (nics or {}).items()]
        template = {
            "domain": {"memory": {"guest": memory}, "devices": devices},
            "networks": networks,
            "volumes": volumes,
        }
        spec: dict[str, Any] = {"runStrategy": run_strategy, "template": {"metadata": {}, "spec": template}}
        if templates:
            spec["dataVolumeTemplates"] = [dict(one) for one in templates]
        places = {key: VolumePlace.of(volume, "") for key, volume in self.volumes.items()}
        references = References(documents={}, volumes=places, networks=frozenset(self.networks))
        manifest = document("VirtualMachine", self.namespace, name, spec, annotations)
        return vm_of_cluster(manifest, references, policy=self.policy, digest=digest)


def _vm_volume(disk: str, volume: ResolvedVolume) -> dict[str, Any]:
    if volume.key.kind == "DataVolume":
        return {"name": disk, "dataVolume": {"name": volume.key.name}}
    return {"name": disk, "persistentVolumeClaim": {"claimName": volume.key.name}}
