"""KubeVirt's rules for disks, volumes, interfaces and other devices: bases that obey them, each rule broken once."""

from __future__ import annotations

import base64

import pytest

from reconciler.model.problem import Severity
from tests.unit.manifests.samples import broken, edited, load

ROOTS = {"devices.": "spec.template.spec.domain.", "": "spec.template.spec."}
DISKS = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: disks}
spec:
  runStrategy: Halted
  template:
    spec:
      serviceAccountName: builder
      domain:
        memory: {guest: 1Gi}
        devices:
          disks:
          - {name: root, serial: SN.1, dedicatedIOThread: true, disk: {bus: virtio, pciAddress: "0000:81:01.0"}}
          - {name: fast, cache: none, io: native, shareable: true, disk: {bus: scsi}, blockSize: {custom: {logical: 512, physical: 4096, discardGranularity: 1024}}}
          - {name: raw, lun: {bus: scsi, reservation: true}}
          - {name: cd, cdrom: {bus: scsi}}
          - {name: seed, disk: {bus: sata}}
          - {name: host, disk: {bus: virtio}}
          - {name: metrics, disk: {bus: virtio}}
          - {name: account, disk: {}}
          - {name: answers, cdrom: {}}
          - {name: image, disk: {}}
          - {name: over, disk: {}}
          filesystems: [{name: share, virtiofs: {}}]
      volumes:
      - {name: root, dataVolume: {name: root}}
      - {name: fast, persistentVolumeClaim: {claimName: fast}}
      - {name: raw, persistentVolumeClaim: {claimName: raw}}
      - {name: cd, configMap: {name: cd}}
      - {name: seed, cloudInitNoCloud: {userData: "#cloud-config", networkDataSecretRef: {name: net}}}
      - {name: host, hostDisk: {path: /srv/disk.img, type: DiskOrCreate, capacity: 1Gi}}
      - {name: metrics, downwardMetrics: {}}
      - {name: account, serviceAccount: {serviceAccountName: builder}}
      - {name: answers, sysprep: {secret: {name: answers}}}
      - {name: image, containerDisk: {image: registry.example.org/image, path: /disk/image.qcow2}}
      - {name: over, ephemeral: {persistentVolumeClaim: {claimName: base}}}
      - {name: share, containerPath: {path: /etc/hosts.d}}
"""
NICS = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: nics}
spec:
  runStrategy: Halted
  template:
    spec:
      domain:
        memory: {guest: 1Gi}
        devices:
          interfaces:
          - {name: pod_net, masquerade: {}, macAddress: "02:00:00:00:00:07", ports: [{port: 80, name: http, protocol: TCP}, {port: 53}]}
          - {name: lan, bridge: {}, state: absent, pciAddress: "0000:81:02.0", dhcpOptions: {ntpServers: [192.0.2.1], privateOptions: [{option: 240, value: a}]}}
          - {name: vf, sriov: {}}
          watchdog: {name: dog, i6300esb: {action: reset}}
          video: {type: virtio}
          sound: {name: noise, model: ich9}
          inputs: [{name: pen, type: tablet, bus: usb}]
          gpus: [{name: one, deviceName: vendor.example/gpu, virtualGPUOptions: {display: {}}}, {name: two, deviceName: vendor.example/gpu}]
          hostDevices: [{name: card, deviceName: vendor.example/card}]
          tpm: {persistent: true}
          rng: {}
      networks:
      - {name: pod_net, pod: {vmNetworkCIDR: 10.0.2.0/24, vmIPv6NetworkCIDR: "fd10::/64"}}
      - {name: lan, multus: {networkName: other/lan}}
      - {name: vf, multus: {networkName: vf}}
"""
BIG = "x" * 2049


@pytest.mark.parametrize("text", [DISKS, NICS])
def test_the_bases_are_valid(text: str) -> None:
    assert [str(one) for one in load(text).problems] == []


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("cdrom: {bus: scsi}", "cdrom: {bus: virtio}", "vm-disk-bus", "devices.disks[3].cdrom.bus"),
        ("{name: seed, disk: {bus: sata}}", "{name: seed, disk: {bus: sata, readonly: true}}", "vm-disk-bus", None),
        ("lun: {bus: scsi,", "lun: {bus: virtio,", "vm-disk-bus", "devices.disks[2].lun.bus"),
        ("persistentVolumeClaim: {claimName: raw}", "emptyDisk: {capacity: 1Gi}", "vm-disk-lun", "devices.disks[2].lun"),
        ("disk: {bus: virtio, pci", "disk: {bus: sata, pci", "vm-disk-io-thread", "devices.disks[0].dedicatedIOThread"),
        ("disk: {bus: virtio, pci", "disk: {bus: sata, pci", "vm-pci-address", "devices.disks[0].disk.pciAddress"),
        ("0000:81:01.0", "81:01.0", "vm-pci-address", "devices.disks[0].disk.pciAddress"),
        ("SN.1", "SN/1", "vm-serial-invalid", "devices.disks[0].serial"),
        ("cache: none, io: native, shareable: true", "cache: writeback, io: native", "vm-disk-io", "devices.disks[1].io"),
        ("io: native", "io: default", "vm-disk-io", "devices.disks[1].io"),
        ("cache: none, io: native", "cache: writethrough", "vm-disk-shareable", "devices.disks[1].cache"),
        ("logical: 512", "logical: 1000", "vm-block-size", "devices.disks[1].blockSize.custom.logical"),
        ("logical: 512, physical: 4096", "logical: 4096, physical: 512", "vm-block-size", None),
        ("disk: {bus: scsi}, blockSize: {custom: {logical: 512,", "disk: {bus: sata}, blockSize: {custom: {logical: 1024,", "vm-block-size", None),
        ("physical: 4096", "physical: 4194304", "vm-block-size", "devices.disks[1].blockSize.custom.physical"),
        ("discardGranularity: 1024", "discardGranularity: 1000", "vm-block-size", None),
        ("blockSize: {custom", "blockSize: {matchVolume: {}, custom", "vm-block-size", "devices.disks[1].blockSize.matchVolume"),
        ('userData: "#cloud-config"', f'userData: "{BIG}"', "vm-cloud-init-size", "volumes[4].cloudInitNoCloud.userData"),
        ('userData: "#cloud-config"', f"userDataBase64: {base64.b64encode(BIG.encode()).decode()}", "vm-cloud-init-size", None),
        ('networkDataSecretRef: {name: net}', f'networkData: "{BIG}"', "vm-cloud-init-size", None),
        ('userData: "#cloud-config"', "userData: a, userDataBase64: YQ==", "vm-cloud-init-data", None),
        ('userData: "#cloud-config", networkDataSecretRef: {name: net}', "", "vm-cloud-init-data", None),
        ('userData: "#cloud-config"', "userDataBase64: '*'", "base64-invalid", None),
        (" {claimName: fast}", " {claimName: ''}", "vm-volume-source", "volumes[1].persistentVolumeClaim.claimName"),
        ("dataVolume: {name: root}", "dataVolume: {name: ''}", "vm-volume-source", "volumes[0].dataVolume.name"),
        ("configMap: {name: cd}", "configMap: {}", "vm-volume-source", "volumes[3].configMap.name"),
        ("configMap: {name: cd}", "secret: {}", "vm-volume-source", "volumes[3].secret.secretName"),
        ("sysprep: {secret", "sysprep: {configMap: {name: a}, secret", "vm-volume-source", "volumes[8].sysprep"),
        ("sysprep: {secret: {name: answers}}", "sysprep: {}", "vm-volume-source", "volumes[8].sysprep"),
        ("{persistentVolumeClaim: {claimName: base}}", "{}", "vm-volume-source", "volumes[10].ephemeral"),
        ("image: registry.example.org/image", "image: ''", "vm-volume-source", "volumes[9].containerDisk.image"),
        ("/disk/image.qcow2", "disk.qcow2", "vm-path-invalid", "volumes[9].containerDisk.path"),
        ("/srv/disk.img", "/srv/../etc/shadow", "vm-path-invalid", "volumes[5].hostDisk.path"),
        ("DiskOrCreate", "Disk", "vm-host-disk", "volumes[5].hostDisk.capacity"),
        (", capacity: 1Gi}", "}", "vm-host-disk", "volumes[5].hostDisk"),
        ("{name: cd, configMap: {name: cd}}", "{name: cd, downwardMetrics: {}}", "vm-volume-once", "volumes[6].downwardMetrics"),
        ("{name: metrics, disk: {bus: virtio}}", "{name: metrics, disk: {bus: sata}}", "vm-downward-metrics", None),
        ("serviceAccountName: builder\n", "serviceAccountName: other\n", "vm-service-account", "spec.template.spec.serviceAccountName"),
        ("serviceAccountName: builder\n", "serviceAccountName: Builder\n", "vm-service-account", None),
        ("/etc/hosts.d", "/var/run/libvirt/x", "vm-path-invalid", "volumes[11].containerPath.path"),
        ("- {name: cd, cdrom: {bus: scsi}}", "- {name: cd, cdrom: {}}\n          - {name: share, disk: {}}", "vm-container-path", None),
    ],
)  # fmt: skip
def test_each_rule_of_disks(old: str, new: str, code: str, path: str | None) -> None:
    broken(DISKS, old, new, code, path, ROOTS)


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("name: pod_net, masquerade", "name: 'pod net', masquerade", "name-invalid", "devices.interfaces[0].name"),
        ("bridge: {}, state", "masquerade: {}, state", "vm-binding-network", "devices.interfaces[1].masquerade"),
        ("bridge: {}, state: absent", "passtBinding: {}", "vm-binding-network", "devices.interfaces[1].passtBinding"),
        ("02:00:00:00:00:07", "02-00-00-00-00-00", "vm-mac-reserved", "devices.interfaces[0].macAddress"),
        ("{name: vf, sriov: {}}", "{name: vf, sriov: {}, state: down}", "vm-interface-state", "devices.interfaces[2].state"),
        ("bridge: {}, state: absent", "sriov: {}, state: absent", "vm-interface-state", "devices.interfaces[1].state"),
        ("name: pod_net, masquerade: {}", "name: pod_net, state: absent, bridge: {}", "vm-interface-state", None),
        ("0000:81:02.0", "0000:81:02.9", "vm-pci-address", "devices.interfaces[1].pciAddress"),
        ("port: 80", "port: 70000", "vm-port-invalid", "devices.interfaces[0].ports[0].port"),
        ("port: 53", "port: 0", "vm-port-invalid", "devices.interfaces[0].ports[1].port"),
        ("name: http,", "name: Http,", "vm-port-invalid", "devices.interfaces[0].ports[0].name"),
        ("port: 53", "port: 53, name: http", "vm-port-invalid", "devices.interfaces[0].ports[1].name"),
        ("ports: [{port: 80", "portRanges: [{start: 1, end: 2, protocol: TCP}], ports: [{port: 80", "vm-port-range", None),
        ("[192.0.2.1]", "[time.example.org]", "vm-dhcp-options", "devices.interfaces[1].dhcpOptions.ntpServers[0]"),
        ("option: 240", "option: 66", "vm-dhcp-options", "devices.interfaces[1].dhcpOptions.privateOptions[0].option"),
        ("[{option: 240, value: a}]", "[{option: 240, value: a}, {option: 240, value: b}]", "vm-dhcp-options", None),
        ("10.0.2.0/24", "10.0.2.0/31", "vm-pod-cidr", "networks[0].pod.vmNetworkCIDR"),
        ("fd10::/64", "10.0.3.0/24", "vm-pod-cidr", "networks[0].pod.vmIPv6NetworkCIDR"),
        ("networkName: other/lan", "networkName: other/lan, default: true", "vm-default-network", "networks[1].multus.default"),
        ("networkName: other/lan", "networkName: Other/lan", "vm-multus-name", "networks[1].multus.networkName"),
        ("networkName: vf", "networkName: ''", "vm-multus-name", "networks[2].multus.networkName"),
        (", i6300esb: {action: reset}", "", "vm-watchdog-type", "devices.watchdog"),
        ("i6300esb", "diag288", "vm-watchdog-type", "devices.watchdog"),
        ("video: {type: virtio}", "video: {type: qxl}", "vm-video-type", "devices.video.type"),
        ("          rng", "          autoattachGraphicsDevice: false\n          rng", "vm-video-off", "devices.video"),
        ("model: ich9", "model: sb16", "vm-sound-model", "devices.sound.model"),
        ("name: noise", "name: ''", "vm-device-name", "devices.sound.name"),
        ("name: two", "name: one", "vm-device-name", "devices.gpus[1].name"),
        ("[{name: pen, type: tablet, bus: usb}]", "[{name: pen, type: tablet}, {name: pen, type: tablet}]", "vm-device-name", None),
        ("name: card, deviceName: vendor.example/card", "name: card", "vm-device-source", "devices.hostDevices[0]"),
        ("name: card, device", "name: card, claimName: c, requestName: r, device", "vm-device-source", None),
        ("{name: two, ", "{name: two, virtualGPUOptions: {display: {}}, ", "vm-gpu-display", None),
    ],
)  # fmt: skip
def test_each_rule_of_networks_and_devices(old: str, new: str, code: str, path: str | None) -> None:
    broken(NICS, old, new, code, path, ROOTS)


def test_data_that_only_kubevirt_refuses_is_a_warning() -> None:
    text = edited(DISKS, 'userData: "#cloud-config"', f'userData: "{BIG}"')
    assert [(one.code, one.severity) for one in load(text).problems] == [("vm-cloud-init-size", Severity.WARNING)]
    assert load(edited(DISKS, 'userData: "#cloud-config"', f'userData: "{BIG[1:]}"')).problems == ()


PORT_RANGES = "portRanges: [{start: 1, end: 9, protocol: TCP}, {start: 10, end: 20, protocol: TCP}, {start: 5, end: 6, protocol: UDP}]"


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("", "", False),
        ("start: 10, end: 20", "start: 9, end: 20", True),
        ("start: 10, end: 20", "start: 20, end: 10", True),
        ("end: 20", "end: 65536", True),
        ("portRanges: [", "portRanges: [" + "{start: 7000, end: 7000, protocol: UDP}, " * 8, True),
        ("masquerade: {}", "bridge: {}", True),
    ],
)
def test_port_ranges(old: str, new: str, wrong: bool) -> None:
    base = edited(NICS, "ports: [{port: 80, name: http, protocol: TCP}, {port: 53}]", PORT_RANGES)
    problems = load(edited(base, old, new)).problems
    assert {one.code for one in problems} == ({"vm-port-range"} if wrong else set())


def test_two_default_networks() -> None:
    text = NICS.replace("networkName: other/lan", "networkName: lan, default: true")
    text = text.replace("networkName: vf", "networkName: vf, default: true").replace("state: absent, ", "")
    text = text.replace('pod: {vmNetworkCIDR: 10.0.2.0/24, vmIPv6NetworkCIDR: "fd10::/64"}', "multus: {networkName: p}")
    text = text.replace("masquerade: {}", "bridge: {}")
    assert [one.code for one in load(text).problems] == ["vm-default-network"]
    assert load(edited(text, "networkName: vf, default: true", "networkName: vf")).problems == ()
