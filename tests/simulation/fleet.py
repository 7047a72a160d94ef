"""A small fleet as a user would declare it: drafts of objects, and the repository's files they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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


PRUNE_WORDS: Mapping[str, str] = {
    "false": 'gitvirt.io/prune: "false"',
    "confirm": "gitvirt.io/prune: confirm",
    "argo-false": '"argocd.argoproj.io/sync-options": Prune=false',
    "argo-confirm": '"argocd.argoproj.io/sync-options": Prune=confirm',
    "flux": '"kustomize.toolkit.fluxcd.io/prune": disabled',
}
"""Annotations that say how an object may be pruned, and what a `Fleet` calls them."""

OPEN_HOURS = (3, 4)
"""Hours of the day (UTC) in which `WINDOW` is open."""
WINDOW = 'gitvirt.io/restart-policy: Window, gitvirt.io/restart-window: "0 3 * * * for 2h in UTC"'
GRACE_S = 20.0
"""The grace period of every VM."""
HOST_MIB = 1 << 20
"""The memory of the simulated host."""


def key(kind: str, name: str) -> ObjectKey:
    """A key in the fleet's namespace."""
    return ObjectKey(kind, NAMESPACE, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmDraft:
    """A VM. ``disks`` are names of claims or DataVolumes, ``nets`` of networks. ``immediate`` and ``windowed`` are restart
    policies. ``broken`` has a misspelt field.
    """

    name: str
    memory: int = 64
    disks: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    strategy: str = "Always"
    immediate: bool = False
    windowed: bool = False
    secret: bool = False
    broken: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether its manifest cannot be had: it is broken, or asks for more memory than there is."""
        return self.broken or self.memory > HOST_MIB

    def text(self, fleet: Fleet) -> str:
        """Its manifest."""
        volumes = [self._volume(disk, fleet) for disk in self.disks]
        disks = [f"{{name: {disk}, disk: {{bus: virtio}}}}" for disk in self.disks]
        if self.secret:
            disks.append("{name: seed, disk: {bus: virtio}}")
            volumes.append(f"{{name: seed, cloudInitNoCloud: {{userData: '{CANARY}'}}}}")
        nics = [f"{{name: {net}, bridge: {{}}}}" for net in self.nets]
        networks = [f"{{name: {net}, multus: {{networkName: {net}}}}}" for net in self.nets]
        policy = 'gitvirt.io/restart-policy: "Immediate"' if self.immediate else WINDOW if self.windowed else ""
        return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {fleet.metadata(key(VM, self.name), policy)}
spec:
  runStrategy: {self.strategy}
  template:
    spec:
      {"terminationGracePeriodSecond" if self.broken else "terminationGracePeriodSeconds"}: {GRACE_S:.0f}
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
    where the source is an URL or ``clone:CLAIM``. ``folder`` is where the files of VMs stand, and ``homes`` the paths of
    objects (``Kind/name``) that stand elsewhere, several in one file perhaps. ``prune`` are words of `PRUNE_WORDS` by object. ``spoilt``
    is a path whose file ends in the middle, or holds ``garbage``.
    """

    vms: Mapping[str, VmDraft] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    imports: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    nets: tuple[str, ...] = ()
    folder: str = "vms"
    homes: Mapping[str, str] = field(default_factory=dict)
    prune: Mapping[str, str] = field(default_factory=dict)
    spoilt: str = ""
    garbage: bool = False

    def files(self) -> dict[str, str]:
        """Path → text."""
        texts: dict[str, list[str]] = {}
        for declared, text in self._texts():
            texts.setdefault(self.home(declared), []).append(text)
        files = {path: "---\n".join(parts) for path, parts in texts.items()}
        if self.spoilt in files:
            files[self.spoilt] = GARBAGE if self.garbage else files[self.spoilt][:40] + "\n  {["
        return files

    def _texts(self) -> Iterator[tuple[ObjectKey, str]]:
        for net in self.nets:
            yield key(NETWORK, net), _network(net, self)
        for name, size in self.claims.items():
            yield key(CLAIM, name), _claim(name, size, self)
        for name, facts in self.imports.items():
            yield key(DATA_VOLUME, name), _import(name, *facts, self)
        for name, vm in self.vms.items():
            yield key(VM, name), vm.text(self)

    def home(self, declared: ObjectKey) -> str:
        """The path of the file that an object stands in."""
        folder = {VM: self.folder, NETWORK: "networks"}.get(declared.kind, "storage")
        return self.homes.get(_short(declared), f"{folder}/{declared.name}.yaml")

    def is_spoilt(self, declared: ObjectKey) -> bool:
        """Whether an object stands in the file that nobody can read."""
        return self.spoilt != "" and self.home(declared) == self.spoilt

    @property
    def has_spoilt_file(self) -> bool:
        """Whether anything declared stands in a file that nobody can read."""
        return self.spoilt != "" and any(self.is_spoilt(declared) for declared in self.present())

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

    def disk(self, name: str) -> ObjectKey:
        """The claim or DataVolume of that name."""
        return key(DATA_VOLUME if name in self.imports else CLAIM, name)

    def needs(self, declared: ObjectKey) -> tuple[ObjectKey, ...]:
        """What an object stands on."""
        if declared.kind == VM:
            vm = self.vms[declared.name]
            return (*(self.disk(disk) for disk in vm.disks), *(key(NETWORK, net) for net in vm.nets))
        source = self.imports[declared.name][0] if declared.kind == DATA_VOLUME else ""
        return (self.disk(source.removeprefix(CLONE)),) if source.startswith(CLONE) else ()

    def can_be_read(self, vm: ObjectKey) -> bool:
        """Whether a VM's manifest can be had, with all that it names."""
        needs = {vm, *self.needs(vm)}
        return not self.vms[vm.name].is_refused and needs <= self.present() and not any(map(self.is_spoilt, needs))

    def metadata(self, declared: ObjectKey, annotation: str = "") -> str:
        """An object's metadata, with its prune annotation if it has one."""
        said = ", ".join(filter(None, (annotation, PRUNE_WORDS.get(self.prune.get(_short(declared), ""), ""))))
        annotations = f", annotations: {{{said}}}" if said else ""
        return f"{{name: {declared.name}, namespace: {declared.namespace}{annotations}}}"

    def with_vm(self, vm: VmDraft) -> Fleet:
        """The same with one VM added or changed."""
        return replace(self, vms={**self.vms, vm.name: vm})

    def without_vm(self, name: str) -> Fleet:
        """The same without one VM."""
        return replace(self, vms={other: vm for other, vm in self.vms.items() if other != name})

    def at_home(self, declared: ObjectKey, path: str) -> Fleet:
        """The same with one object in another file."""
        return replace(self, homes={**self.homes, _short(declared): path})

    def pruned_as(self, declared: ObjectKey, word: str) -> Fleet:
        """The same with another prune annotation on one object; none for an empty word."""
        return replace(self, prune={**self.prune, _short(declared): word})

    def prune_word(self, declared: ObjectKey) -> str:
        """The word of its prune annotation, empty for none."""
        return self.prune.get(_short(declared), "")


GARBAGE = "\x00\x01\x7fELF: this is no manifest\n"
CLONE = "clone:"


def _short(declared: ObjectKey) -> str:
    return f"{declared.kind}/{declared.name}"


def _network(name: str, fleet: Fleet) -> str:
    config = json.dumps({"cniVersion": "0.3.1", "type": "bridge", "bridge": f"sim{name}"})
    return f"""\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {fleet.metadata(key(NETWORK, name))}
spec:
  config: '{config}'
"""


def _claim(name: str, size: int, fleet: Fleet) -> str:
    return f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {fleet.metadata(key(CLAIM, name))}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: {size}Mi}}}}
"""


def _import(name: str, source: str, size: int, fleet: Fleet) -> str:
    clone = source.removeprefix(CLONE) if source.startswith(CLONE) else ""
    said = f"pvc: {{name: {clone}, namespace: {NAMESPACE}}}" if clone else f'http: {{url: "{source}"}}'
    return f"""\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {fleet.metadata(key(DATA_VOLUME, name))}
spec:
  source: {{{said}}}
  storage: {{resources: {{requests: {{storage: {size}Mi}}}}}}
"""
