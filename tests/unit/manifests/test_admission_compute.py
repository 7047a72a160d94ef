"""KubeVirt's rules for memory, CPUs, firmware and features: bases that obey them, each rule broken once."""

from __future__ import annotations

import pytest

from tests.unit.manifests.samples import SMALL, broken, edited, load, only

DOMAIN = "spec.template.spec.domain"
PINNED = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: pinned}
spec:
  runStrategy: Halted
  template:
    spec:
      architecture: amd64
      domain:
        cpu:
          cores: 4
          threads: 2
          model: host-passthrough
          dedicatedCpuPlacement: true
          isolateEmulatorThread: true
          numa: {guestMappingPassthrough: {}}
          realtime: {mask: "0-3,^1"}
          features: [{name: vmx, policy: require}, {name: pcid}]
        memory: {guest: 4Gi, hugepages: {pageSize: 1Gi}}
        resources:
          requests: {memory: 4Gi, cpu: "8"}
          limits: {memory: 4Gi, cpu: 8}
        machine: {type: pc-q35-7.2}
        devices: {}
"""
GROWING = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: growing}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        cpu: {sockets: 2, maxSockets: 4}
        memory: {guest: 1Gi, maxGuest: 4Gi}
        resources: {limits: {memory: 5Gi, cpu: 3}, requests: {cpu: 500m}}
        firmware:
          uuid: 5d307ca9-b3ef-428c-8861-06e72d69f223
          serial: SN-1_2.3+4
          bootloader: {efi: {secureBoot: true, persistent: true}}
          kernelBoot: {kernelArgs: console=ttyS0, container: {image: registry.example.org/kernel, kernelPath: /boot/vmlinuz}}
          acpi: {slicNameRef: slic}
        features:
          smm: {}
          hyperv:
            vapic: {}
            vpindex: {}
            synic: {}
            synictimer: {enabled: true}
            evmcs: {}
            spinlocks: {spinlocks: 8191}
            vendorid: {vendorid: KVM Hv}
        clock: {timezone: America/Argentina/Buenos_Aires, timer: {rtc: {tickPolicy: catchup}}}
        ioThreadsPolicy: supplementalPool
        ioThreads: {supplementalPoolThreadCount: 2}
        devices: {disks: [{name: slic, disk: {}}]}
      volumes: [{name: slic, secret: {secretName: slic}}]
"""
SECRET_GUEST = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: secretive}
spec:
  runStrategy: Always
  template:
    spec:
      startStrategy: Paused
      domain:
        memory: {guest: 1Gi}
        launchSecurity: {sev: {attestation: {}}}
        firmware: {bootloader: {efi: {secureBoot: false}}}
        devices: {interfaces: [{name: pod, masquerade: {}}]}
      networks: [{name: pod, pod: {}}]
"""


@pytest.mark.parametrize("text", [PINNED, GROWING, SECRET_GUEST])
def test_the_bases_are_valid(text: str) -> None:
    assert [str(one) for one in load(text).problems] == []


@pytest.mark.parametrize(
    ("base", "old", "new", "code", "path"),
    [
        (PINNED, "threads: 2", "threads: 3", "vm-cpu-dedicated", "cpu.threads"),
        (PINNED, 'cpu: "8"', 'cpu: "7"', "vm-cpu-dedicated", "resources.requests.cpu"),
        (PINNED, 'memory: 4Gi, cpu: "8"', 'memory: 3Gi, cpu: "8"', "vm-cpu-dedicated", "resources.requests.memory"),
        (PINNED, 'cpu: "8"}', "cpu: 7500m}", "vm-cpu-dedicated", "resources.requests.cpu"),
        (PINNED, "cores: 4", "cores: 3", "vm-cpu-dedicated", "cpu.dedicatedCpuPlacement"),
        (PINNED, "dedicatedCpuPlacement: true", "dedicatedCpuPlacement: false", "vm-cpu-isolate", None),
        (PINNED, "dedicatedCpuPlacement: true", "dedicatedCpuPlacement: false", "vm-cpu-numa", None),
        (PINNED, "dedicatedCpuPlacement: true", "dedicatedCpuPlacement: false", "vm-cpu-realtime", "cpu.realtime"),
        (PINNED, ", hugepages: {pageSize: 1Gi}", "", "vm-cpu-numa", "cpu.numa.guestMappingPassthrough"),
        (PINNED, "          numa: {guestMappingPassthrough: {}}\n", "", "vm-cpu-realtime", "cpu.realtime"),
        (PINNED, "0-3,^1", "all", "vm-cpu-realtime", "cpu.realtime.mask"),
        (PINNED, "policy: require", "policy: please", "vm-cpu-feature", "cpu.features[0].policy"),
        (PINNED, "name: pcid", "name: vmx", "vm-cpu-feature", "cpu.features[1].name"),
        (PINNED, "name: pcid", "name: p<id", "vm-cpu-feature", "cpu.features[1].name"),
        (PINNED, "host-passthrough", "'Intel Xeon'", "vm-cpu-model", "cpu.model"),
        (PINNED, "guest: 4Gi", "guest: 3584Mi", "vm-hugepages", "memory.guest"),
        (PINNED, "pageSize: 1Gi", "pageSize: 3Mi", "vm-hugepages", "memory.hugepages.pageSize"),
        (PINNED, "pageSize: 1Gi", "pageSize: big", "quantity-invalid", "memory.hugepages.pageSize"),
        (PINNED, "{pageSize: 1Gi}", "{}", "vm-hugepages", "memory.hugepages.pageSize"),
        (PINNED, "pc-q35-7.2", "isapc", "vm-machine-type", "machine.type"),
        (PINNED, "amd64", "riscv", "vm-architecture", "spec.template.spec.architecture"),
        (GROWING, "guest: 1Gi", "guest: 2Gi", "", None),
        (GROWING, "memory: 5Gi", "memory: 512Mi", "vm-memory-limit", "memory.guest"),
        (GROWING, "memory: 5Gi", "memory: 5", "vm-memory-limit", "memory.guest"),
        (GROWING, "cpu: 500m", "cpu: 4", "vm-resource-order", "resources.requests.cpu"),
        (GROWING, "guest: 1Gi", "guest: 512Mi", "vm-max-guest", "memory.guest"),
        (GROWING, "guest: 1Gi", "guest: 1025Mi", "vm-max-guest", "memory.guest"),
        (GROWING, "maxGuest: 4Gi", "maxGuest: 4000001Ki", "vm-max-guest", "memory.maxGuest"),
        (GROWING, "guest: 1Gi, ", "", "vm-max-guest", "memory.maxGuest"),
        (GROWING, "      domain:", "      architecture: arm64\n      domain:", "vm-max-guest", "memory.maxGuest"),
        (GROWING, "cpu: {sockets", "launchSecurity: {tdx: {}}\n        cpu: {sockets", "vm-max-guest", "memory.maxGuest"),
        (GROWING, "sockets: 2", "sockets: 5", "vm-cpu-sockets", "cpu.sockets"),
        (GROWING, "sockets: 2", "sockets: 0", "vm-cpu-invalid", "cpu.sockets"),
        (GROWING, "SN-1_2.3+4", "SN 1", "vm-serial-invalid", "firmware.serial"),
        (GROWING, "SN-1_2.3+4", "S" * 257, "vm-serial-invalid", "firmware.serial"),
        (GROWING, "{efi:", "{bios: {}, efi:", "vm-firmware-twice", "firmware.bootloader.bios"),
        (GROWING, "          smm: {}\n", "", "vm-secure-boot", "firmware.bootloader.efi"),
        (GROWING, "smm: {}", "smm: {enabled: false}", "vm-secure-boot", "firmware.bootloader.efi"),
        (GROWING, ", container: {image: registry.example.org/kernel, kernelPath: /boot/vmlinuz}", "", "vm-kernel-boot", None),
        (GROWING, ", kernelPath: /boot/vmlinuz", "", "vm-kernel-boot", "firmware.kernelBoot.container"),
        (GROWING, "registry.example.org/kernel", "''", "vm-kernel-boot", "firmware.kernelBoot.container.image"),
        (GROWING, "/boot/vmlinuz", "/boot/../etc/x", "vm-path-invalid", "firmware.kernelBoot.container.kernelPath"),
        (GROWING, "slicNameRef: slic", "slicNameRef: msdm", "vm-acpi-table", "firmware.acpi.slicNameRef"),
        (GROWING, "secret: {secretName: slic}", "configMap: {name: slic}", "vm-acpi-table", "firmware.acpi.slicNameRef"),
        (GROWING, "{slicNameRef: slic}", "{}", "vm-acpi-table", "firmware.acpi"),
        (GROWING, "vpindex: {}", "vpindex: {enabled: false}", "vm-hyperv-needs", "features.hyperv.vpindex"),
        (GROWING, "maxSockets: 4}", "maxSockets: 4, features: [{name: vmx, policy: disable}]}", "vm-hyperv-needs", None),
        (GROWING, "          hyperv:", "          hypervPassthrough: {enabled: true}\n          hyperv:", "vm-hyperv-twice", None),
        (GROWING, "8191", "100", "vm-hyperv-value", "features.hyperv.spinlocks.spinlocks"),
        (GROWING, "KVM Hv", "AuthenticAMD12", "vm-hyperv-value", "features.hyperv.vendorid.vendorid"),
        (GROWING, "clock: {", "clock: {utc: {}, ", "vm-clock-twice", "clock.timezone"),
        (GROWING, "America/Argentina/Buenos_Aires", "'/etc/passwd'", "vm-timezone", "clock.timezone"),
        (GROWING, "ThreadCount: 2", "ThreadCount: 0", "vm-io-threads", "ioThreadsPolicy"),
        (GROWING, "        ioThreads: {supplementalPoolThreadCount: 2}\n", "", "vm-io-threads", "ioThreadsPolicy"),
        (SECRET_GUEST, "{sev: {attestation: {}}}", "{}", "vm-launch-security", "launchSecurity"),
        (SECRET_GUEST, "{sev: {attestation: {}}}", "{sev: {}, tdx: {}}", "vm-launch-security", "launchSecurity"),
        (SECRET_GUEST, "      startStrategy: Paused\n", "", "vm-launch-security", "launchSecurity.sev.attestation"),
        (SECRET_GUEST, "secureBoot: false", "", "vm-launch-security", "firmware.bootloader.efi"),
        (SECRET_GUEST, "efi: {secureBoot: false}", "bios: {}", "vm-launch-security", "launchSecurity.sev"),
        (SECRET_GUEST, "name: pod, masq", "name: pod, bootOrder: 1, masq", "vm-launch-security", "devices.interfaces[0].bootOrder"),
        (SECRET_GUEST, "sev: {attestation: {}}", "tdx: {}}\n        features: {smm: {}", "vm-launch-security", "features.smm"),
        (
            SECRET_GUEST.replace("secureBoot: false", "secureBoot: false, persistent: true"),
            "sev: {attestation: {}}",
            "snp: {}",
            "vm-launch-security",
            "firmware.bootloader.efi.persistent",
        ),
    ],
)  # fmt: skip
def test_each_rule(base: str, old: str, new: str, code: str, path: str | None) -> None:
    broken(base, old, new, code, path, {"": f"{DOMAIN}."})


def test_memory_without_a_unit() -> None:
    assert only(load(edited(SMALL, "128Mi", "128")).problems).code == "vm-memory-small"


def test_dedicated_cpus_need_a_number() -> None:
    text = edited(SMALL, "        devices:", "        cpu: {dedicatedCpuPlacement: true}\n        devices:")
    assert only(load(text).problems).code == "vm-cpu-dedicated"


def test_secure_boot_is_on_unless_it_is_off() -> None:
    text = edited(SMALL, "        devices:", "        firmware: {bootloader: {efi: {}}}\n        devices:")
    assert only(load(text).problems).code == "vm-secure-boot"
    assert load(text.replace("efi: {}", "efi: {secureBoot: false}")).problems == ()
    assert load(text.replace("        firmware:", "        features: {smm: {}}\n        firmware:")).problems == ()
