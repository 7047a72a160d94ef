"""Many small VMs, and how commits change them: by a seeded choice, the same with the same seed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

from tests.live.end_to_end.manifests import claim


def bare_vm(
    name: str,
    strategy: str = "Halted",
    *,
    disks: tuple[str, ...] = (),
    memory: str = "64Mi",
    said: str = "",
    plugged: bool = True,
) -> str:
    """A VM with disks and cloud-init data and nothing to boot from: it costs little to make, and runs idle when it runs. Its NIC
    is ``plugged`` into the pod network, or it has none.
    """
    nic = "interfaces: [{name: default, masquerade: {}}]" if plugged else "autoattachPodInterface: false"
    networks = "\n      networks: [{name: default, pod: {}}]" if plugged else ""
    devices = "".join(f"\n          - {{name: {disk}, disk: {{bus: virtio}}}}" for disk in disks)
    volumes = "".join(f"\n      - {{name: {disk}, persistentVolumeClaim: {{claimName: {disk}}}}}" for disk in disks)
    return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  runStrategy: {strategy}
  template:
    spec:
      terminationGracePeriodSeconds: 0
      domain:
        memory: {{guest: {memory}}}
        devices:
          disks:{devices}
          - {{name: cloudinit, disk: {{bus: virtio}}}}
          {nic}{networks}
      volumes:{volumes}
      - name: cloudinit
        cloudInitNoCloud: {{userData: "#cloud-config\\nhostname: {name}{said}\\n"}}
"""


@dataclass
class Fleet:
    """The VMs ``PREFIX00``, ``PREFIX01``, … each with a disk; every change goes through here."""

    random: Random
    prefix: str = "m"
    classes: tuple[str, ...] = ("",)
    """Storage classes of new disks."""
    files: dict[str, str | None] = field(default_factory=dict)
    _made: int = 0
    _classes: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Those that are declared now."""
        vms = (name.removesuffix(".yaml") for name, text in self.files.items() if text)
        return sorted(name for name in vms if not name.endswith("-data"))

    def add(self, count: int, strategy: str = "Halted") -> None:
        """New ones."""
        for _ in range(count):
            name = f"{self.prefix}{self._made:02}"
            self._made += 1
            storage_class = self.random.choice(self.classes)
            self._classes[name] = storage_class
            self.files[f"{name}-data.yaml"] = claim(f"{name}-data", "16Mi", storage_class)
            self.files[f"{name}.yaml"] = bare_vm(name, strategy, disks=(f"{name}-data",))

    def change(self, count: int) -> None:
        """Other memory, other cloud-init data, or a larger disk."""
        for name in self.random.sample(self.names, min(count, len(self.names))):
            text = self.files[f"{name}.yaml"]
            assert text is not None
            match self.random.randrange(3):
                case 0:
                    self.files[f"{name}.yaml"] = re.sub(
                        r"guest: \d+Mi", f"guest: 1{self.random.randrange(10, 40)}Mi", text
                    )
                case 1:
                    self.files[f"{name}.yaml"] = text.replace("hostname: ", "hostname: x", 1)
                case _:
                    size = f"{self.random.randrange(20, 64)}Mi"
                    self.files[f"{name}-data.yaml"] = claim(f"{name}-data", size, self._classes[name])

    def delete(self, count: int) -> list[str]:
        """Some, with their disks; their names."""
        gone = self.random.sample(self.names, min(count, len(self.names)))
        for name in gone:
            self.files[f"{name}.yaml"] = self.files[f"{name}-data.yaml"] = None
        return gone
