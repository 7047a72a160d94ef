"""A small fleet as a user would declare it: drafts of objects, and the repository's files they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.keys import ObjectKey

NAMESPACE = "lab"
CANARY = "correct-horse-battery-staple"
"""A secret that must never be seen outside a guest."""

CLAIM, DATA_VOLUME, NETWORK, VM = (
    "PersistentVolumeClaim",
    "DataVolume",
    "NetworkAttachmentDefinition",
    "VirtualMachine",
)


def key(kind: str, name: str) -> ObjectKey:
    """A key in the fleet's namespace."""
    return ObjectKey(kind, NAMESPACE, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmDraft:
    """A VM. ``disks`` are names of claims or DataVolumes, ``nets`` of networks. ``broken`` has a misspelt field."""

    name: str
    memory: int = 64
    disks: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    strategy: str = "Always"
    immediate: bool = False
    secret: bool = False
    broken: bool = False

    def text(self, fleet: Fleet) -> str:
        """Its manifest."""
        volumes = [self._volume(disk, fleet) for disk in self.disks]
        disks = [f"{{name: {disk}, disk: {{bus: virtio}}}}" for disk in self.disks]
        if self.secret:
            disks.append("{name: seed, disk: {bus: virtio}}")
            volumes.append(f"{{name: seed, cloudInitNoCloud: {{userData: '{CANARY}'}}}}")
        nics = [f"{{name: {net}, bridge: {{}}}}" for net in self.nets]
        networks = [f"{{name: {net}, multus: {{networkName: {net}}}}}" for net in self.nets]
        annotations = '\n  annotations: {gitvirt.io/restart-policy: "Immediate"}' if self.immediate else ""
        return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: {self.name}
  namespace: {NAMESPACE}{annotations}
spec:
  runStrategy: {self.strategy}
  template:
    spec:
      {"terminationGracePeriodSecond" if self.broken else "terminationGracePeriodSeconds"}: 20
      domain:
        memory: {{guest: {self.memory}Mi}}
        devices:
          autoattachPodInterface: false
          disks: [{", ".join(disks)}]
          interfaces: [{", ".join(nics)}]
      networks: [{", ".join(networks)}]
      volumes: [{", ".join(volumes)}]
"""

    @staticmethod
    def _volume(disk: str, fleet: Fleet) -> str:
        if disk in fleet.imports:
            return f"{{name: {disk}, dataVolume: {{name: {disk}}}}}"
        return f"{{name: {disk}, persistentVolumeClaim: {{claimName: {disk}}}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything a revision declares. ``claims`` maps a name to MiB; ``imports`` a DataVolume's name to (source, MiB),
    where the source is an URL or ``clone:CLAIM``. ``folder`` is where the files stand; ``spoilt`` is a path whose file
    ends in the middle.
    """

    vms: Mapping[str, VmDraft] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    imports: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    nets: tuple[str, ...] = ()
    folder: str = "vms"
    spoilt: str = ""

    def files(self) -> dict[str, str]:
        """Path → text."""
        files = {f"networks/{net}.yaml": _network(net) for net in self.nets}
        files |= {f"storage/{name}.yaml": _claim(name, size) for name, size in self.claims.items()}
        files |= {f"storage/{name}.yaml": _import(name, *facts) for name, facts in self.imports.items()}
        files |= {f"{self.folder}/{name}.yaml": vm.text(self) for name, vm in self.vms.items()}
        if self.spoilt in files:
            files[self.spoilt] = files[self.spoilt][:40] + "\n  {["
        return files

    def present(self) -> frozenset[ObjectKey]:
        """Keys of everything declared, broken or not."""
        return frozenset(
            (
                *(key(VM, name) for name in self.vms),
                *(key(CLAIM, name) for name in self.claims),
                *(key(DATA_VOLUME, name) for name in self.imports),
                *(key(NETWORK, name) for name in self.nets),
            )
        )

    def with_vm(self, vm: VmDraft) -> Fleet:
        """The same with one VM added or changed."""
        return replace(self, vms={**self.vms, vm.name: vm})

    def without_vm(self, name: str) -> Fleet:
        """The same without one VM."""
        return replace(self, vms={other: vm for other, vm in self.vms.items() if other != name})


def _network(name: str) -> str:
    config = json.dumps({"cniVersion": "0.3.1", "type": "bridge", "bridge": f"sim{name}"})
    return f"""\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  config: '{config}'
"""


def _claim(name: str, size: int) -> str:
    return f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: {size}Mi}}}}
"""


def _import(name: str, source: str, size: int) -> str:
    clone = source.removeprefix("clone:") if source.startswith("clone:") else ""
    said = f"pvc: {{name: {clone}, namespace: {NAMESPACE}}}" if clone else f'http: {{url: "{source}"}}'
    return f"""\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  source: {{{said}}}
  storage: {{resources: {{requests: {{storage: {size}Mi}}}}}}
"""
