"""What is exported is read back as that very VM, whatever its hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, Phase, assume, given, settings

from nodeexec.libvirt import domain_xml, support
from nodeexec.libvirt.flavour import Flavour
from nodeexec.spec_difference import compare
from reconciler.daemon.exporting import export, text_of
from reconciler.model.adoption import Adoption, FoundDisk, FoundInterface, FoundVm
from reconciler.model.domain import Binding, ClaimSource, DomainSpec, NoMedia
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.policy import Policy
from reconciler.model.power import PowerState, RunHistory
from reconciler.ports import Engine
from tests.property.domain_specs import domain_specs

NOW = datetime(2026, 3, 1, tzinfo=UTC)
UNSAID = ("xml:", "spec.template.spec.domain.ioThreads")
"""Where a difference is only to be expected: no manifest can say it."""


def as_found(spec: DomainSpec) -> DomainSpec:
    """The spec with disks and NICs as somebody else would have made them, in the one form that XML gives back."""
    disks = [
        replace(
            disk,
            name=f"d{number}",
            source=NoMedia()
            if disk.binding is Binding.CDROM
            else ClaimSource(namespace="default", claim=f"c{number}", pool="default", format="qcow2"),
            dedicated_io_thread=False,
            boot_order=number + 1 if disk.boot_order else 0,
        )
        for number, disk in enumerate(spec.disks)
    ]
    nics = [
        replace(nic, name=f"n{number}", network="default/lan", mtu=0, boot_order=0, mac=f"02:00:00:00:00:{number:02x}")
        for number, nic in enumerate(spec.interfaces)
    ]
    # "endOfInterrupt: false" is KubeVirt's way to say nothing, so an explicit "off" is what no manifest says.
    features = tuple(pair for pair in spec.features if pair != ("apic.eoi", "off"))
    # KubeVirt adds what these stand on.
    hyperv = tuple(p for p in spec.hyperv if p[0] not in ("evmcs", "ipi", "synic", "synictimer", "tlbflush"))
    plain = replace(spec, features=features, hyperv=hyperv)
    plain = replace(plain, disks=tuple(disks), interfaces=tuple(nics), inputs=(), io_threads=0, name="default_web")
    return domain_xml.parse(domain_xml.build(plain, Flavour(accelerator="kvm"))).spec


@dataclass
class Host:
    """The engine's part of an export: one domain."""

    spec: DomainSpec

    def survey(self, name: str) -> FoundVm:
        disks = tuple(
            FoundDisk(target=disk.name, spec=disk)
            if isinstance(disk.source, NoMedia)
            else FoundDisk(
                target=disk.name,
                spec=disk,
                text=f"file /pool/{disk.name}.qcow2",
                pool="default",
                volume=f"{disk.name}.qcow2",
                format="qcow2",
                size_bytes=1 << 30,
            )
            for disk in self.spec.disks
        )
        nics = tuple(
            FoundInterface(spec=replace(nic, network="foreign:bridge br0"), place="bridge br0", bridge="br0")
            for nic in self.spec.interfaces
        )
        return FoundVm(
            name=name, uuid=self.spec.uuid, live=self.live(self.spec), disks=disks, interfaces=nics, autostart=True
        )

    def as_adopted(self, adoption: Adoption) -> LiveVm:
        disks = tuple(
            replace(
                disk,
                name=adoption.disks[disk.name],
                source=adoption.claims.get(f"file /pool/{disk.name}.qcow2", disk.source),
            )
            for disk in self.spec.disks
        )
        nics = tuple(
            replace(nic, name=adoption.interfaces[nic.mac], network=adoption.networks["bridge br0"])
            for nic in self.spec.interfaces
        )
        return replace(self.live(replace(self.spec, disks=disks, interfaces=nics)), kept=adoption.kept)

    @staticmethod
    def live(spec: DomainSpec) -> LiveVm:
        key = ObjectKey("VirtualMachine", "default", "web")
        return LiveVm(
            key=key,
            fingerprint="",
            marks=None,
            stored=spec,
            running=spec,
            power=PowerState.RUNNING,
            history=RunHistory(),
        )

    def engine(self) -> Engine:
        own: Any = SimpleNamespace(
            survey=self.survey, as_adopted=self.as_adopted, compare=compare, check=support.check, is_platform=False
        )
        return cast("Engine", own)


@given(domain_specs())
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_an_exported_vm_reads_back_as_it_is(spec: DomainSpec) -> None:
    found = as_found(spec)
    host = Host(found)
    (entry,) = export(
        host.engine(), ["Web Server 1"], namespace="default", policy=Policy(), digest=lambda data: data.hex(), now=NOW
    )
    assume(not entry.faults)  # hardware that KubeVirt's admission refuses is told, and not exported as a whole
    assert entry.findings is not None
    assert (entry.findings.obstacles, entry.findings.differences) == ((), ())
    kept = [d.path for d in entry.findings.kept if not d.path.endswith((".serial", ".cache"))]
    assert [path for path in kept if not path.startswith(UNSAID)] == []
    assert text_of([entry]) == text_of([entry])
    assert "gitvirt.io/adopt: Web Server 1" in text_of([entry])
