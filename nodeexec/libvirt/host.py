"""The host as planning needs it: size, bridges, hypervisor, and whether KVM really works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeexec.libvirt.kvm_proof import KvmProof, prove_kvm
from nodeexec.libvirt.pools import Pools
from nodeexec.libvirt.safe_xml import parse_xml
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.live import HostFacts
from reconciler.model.policy import Policy

_NETWORK_DEVICES = Path("/sys/class/net")
_DEFAULT_EMULATOR = "/usr/bin/qemu-system-x86_64"


class Host:
    """Facts that do not change while a connection lasts are asked once."""

    def __init__(self, settings: LibvirtSettings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._proof: KvmProof | None = None
        self._fixed: tuple[Any, str, int, int, str] | None = None

    def facts(self, connection: Any, pools: Pools) -> HostFacts:
        """The host now.

        Raises:
            libvirt.libvirtError: libvirt did not answer.
        """
        if self._fixed is None or self._fixed[0] is not connection:
            model, memory_mib, cpus, *_ = connection.getInfo()
            hypervisor = f"{connection.getType()} {_version(connection.getVersion())}"
            libvirt_version = _version(connection.getLibVersion())
            self._fixed = (
                connection,
                str(model),
                int(memory_mib),
                int(cpus),
                f"{hypervisor}, libvirt {libvirt_version}",
            )
        _, architecture, memory_mib, cpus, hypervisor = self._fixed
        return HostFacts(
            hostname=self._policy.host,
            architecture=architecture,
            accelerator=self.accelerator(connection),
            cpus=cpus,
            memory_mib=memory_mib,
            labels={"kubernetes.io/hostname": self._policy.host, **self._policy.host_labels},
            pools=pools.facts(),
            bridges=bridges(),
            hypervisor=hypervisor,
        )

    def accelerator(self, connection: Any) -> str:
        """``kvm`` where it is set or proven, else ``qemu``."""
        if self._settings.accelerator in ("kvm", "qemu"):
            return self._settings.accelerator
        return "kvm" if self.kvm_proof(connection).works else "qemu"

    @property
    def proven(self) -> str:
        """The accelerator, when it is known already; else empty."""
        return "" if self._proof is None else ("kvm" if self._proof.works else "qemu")

    def kvm_proof(self, connection: Any) -> KvmProof:
        """Whether KVM works, and why not."""
        if self._proof is None:
            if self._settings.uri.startswith("test:"):
                self._proof = KvmProof(works=False, reason="the test driver has no guests")
            else:
                self._proof = prove_kvm(_emulator(connection), Path(self._settings.runtime_directory))
        return self._proof


def bridges() -> tuple[str, ...]:
    """Names of all bridges of the host."""
    try:
        return tuple(sorted(entry.name for entry in _NETWORK_DEVICES.iterdir() if (entry / "bridge").is_dir()))
    except OSError:
        return ()


def _emulator(connection: Any) -> str:
    xml = connection.getDomainCapabilities(None, None, None, None, 0)
    return parse_xml(xml).findtext("path") or _DEFAULT_EMULATOR


def _version(number: int) -> str:
    """libvirt writes versions as one number: 7002022 is 7.2.22."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
