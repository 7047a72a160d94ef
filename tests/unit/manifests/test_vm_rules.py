"""Rules for one VirtualMachine: each violated once, in a manifest that is otherwise valid."""

from __future__ import annotations

import sys

import pytest

from reconciler.manifests.kinds import check_document
from tests.unit.manifests.samples import SMALL, WEBSERVER, edited, load, only

DEVICES = "spec.template.spec.domain.devices"
TWO_DISKS = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: two}
spec:
  runStrategy: Halted
  dataVolumeTemplates:
  - metadata: {name: two-root}
    spec:
      source: {blank: {}}
      storage: {resources: {requests: {storage: 1Gi}}}
  template:
    spec:
      domain:
        cpu: {sockets: 1, maxSockets: 4}
        memory: {guest: 1Gi, maxGuest: 2Gi}
        firmware: {uuid: 5d307ca9-b3ef-428c-8861-06e72d69f223}
        resources: {requests: {memory: 1Gi}, limits: {memory: 2Gi}}
        devices:
          disks:
          - {name: root, bootOrder: 1, disk: {bus: virtio}}
          - {name: seed, cdrom: {bus: sata}}
          interfaces:
          - {name: pod, bootOrder: 2, masquerade: {}, macAddress: "02:00:00:00:00:01"}
          - {name: lan, bridge: {}, macAddress: 02-00-00-00-00-02}
      hostname: two
      networks:
      - {name: pod, pod: {}}
      - {name: lan, multus: {networkName: lan}}
      volumes:
      - {name: root, dataVolume: {name: two-root}}
      - {name: seed, cloudInitNoCloud: {userData: "#cloud-config"}}
"""


def test_the_base_is_valid() -> None:
    assert load(TWO_DISKS).problems == ()
    assert load(SMALL).problems == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "path", "place"),
    [
        (
            "  runStrategy: Halted",
            "  runStrategy: Halted\n  running: no",
            "vm-run-strategy-twice",
            "spec.running",
            "6:3",
        ),
        ("  runStrategy: Halted\n", "", "vm-no-run-strategy", "spec.runStrategy", "5:3"),
        ("cdrom: {bus: sata}}", "cdrom: {bus: sata}, disk: {}}", "vm-one-type", f"{DEVICES}.disks[1].disk", "21:46"),
        ("{name: root, boot", "{name: rot, boot", "vm-disk-no-volume", f"{DEVICES}.disks[0].name", "20:20"),
        (
            "{name: root, dataV",
            "{name: rooot, dataV",
            "vm-volume-no-disk",
            "spec.template.spec.volumes[0].name",
            "30:16",
        ),
        (
            "{name: lan, bridge",
            "{name: lam, bridge",
            "vm-interface-no-network",
            f"{DEVICES}.interfaces[1].name",
            "24:20",
        ),
        (
            "{name: lan, multus",
            "{name: lam, multus",
            "vm-network-no-interface",
            "spec.template.spec.networks[1].name",
            "28:16",
        ),
        ("{name: lan, bridge", "{name: pod, bridge", "vm-name-twice", f"{DEVICES}.interfaces[1].name", "24:20"),
        ("{name: lan, multus", "{name: pod, multus", "vm-name-twice", "spec.template.spec.networks[1].name", "28:16"),
        ("{name: seed, cdrom", "{name: root, cdrom", "vm-name-twice", f"{DEVICES}.disks[1].name", "21:20"),
        ("{name: seed, cloud", "{name: root, cloud", "vm-name-twice", "spec.template.spec.volumes[1].name", "31:16"),
        (
            "bridge: {}, mac",
            "bridge: {}, masquerade: {}, mac",
            "vm-one-type",
            f"{DEVICES}.interfaces[1].masquerade",
            "24:37",
        ),
        ("bridge: {}, mac", "mac", "vm-one-type", f"{DEVICES}.interfaces[1]", "24:13"),
        (
            "multus: {networkName: lan}}",
            "pod: {}}",
            "vm-pod-network-twice",
            "spec.template.spec.networks[1].pod",
            "28:21",
        ),
        (
            "dataVolume: {name: two-root}}",
            "emptyDisk: {capacity: 1Gi}, containerDisk: {image: a}}",
            "vm-one-type",
            None,
            None,
        ),
        ("02-00-00-00-00-02", "02-00-00-00-00", "vm-mac-invalid", f"{DEVICES}.interfaces[1].macAddress", "24:49"),
        ("02-00-00-00-00-02", "02-00-00:00-00-02", "vm-mac-invalid", f"{DEVICES}.interfaces[1].macAddress", "24:49"),
        ("02-00-00-00-00-02", "03-00-00-00-00-02", "vm-mac-invalid", f"{DEVICES}.interfaces[1].macAddress", "24:49"),
        ("02-00-00-00-00-02", "00:00:00:00:00:00", "vm-mac-invalid", f"{DEVICES}.interfaces[1].macAddress", "24:49"),
        ("02-00-00-00-00-02", "02:00:00:00:00:01", "vm-mac-twice", f"{DEVICES}.interfaces[1].macAddress", "24:49"),
        ("5d307ca9-b3ef", "5d307ca9b3ef", "vm-uuid-invalid", "spec.template.spec.domain.firmware.uuid", "16:26"),
        ("bootOrder: 1", "bootOrder: 0", "vm-boot-order", f"{DEVICES}.disks[0].bootOrder", "20:37"),
        ("bootOrder: 2", "bootOrder: 1", "vm-boot-order", f"{DEVICES}.interfaces[0].bootOrder", "23:36"),
        ("guest: 1Gi", "guest: 3Gi", "vm-memory-order", "spec.template.spec.domain.memory.guest", "15:25"),
        ("guest: 1Gi", "guest: 0", "quantity-invalid", "spec.template.spec.domain.memory.guest", "15:25"),
        ("guest: 1Gi", "guest: -1Gi", "quantity-invalid", "spec.template.spec.domain.memory.guest", "15:25"),
        ("guest: 1Gi", "guest: 1e999", "quantity-invalid", "spec.template.spec.domain.memory.guest", "15:25"),
        ("requests: {memory: 1Gi", "requests: {memory: 3Gi", "vm-memory-order", None, "17:40"),
        ("sockets: 1,", "sockets: 5,", "vm-cpu-sockets", "spec.template.spec.domain.cpu.sockets", "14:24"),
        ("sockets: 1,", "sockets: 0,", "vm-cpu-invalid", "spec.template.spec.domain.cpu.sockets", "14:24"),
        ("sockets: 1,", "cores: -1,", "vm-cpu-invalid", "spec.template.spec.domain.cpu.cores", "14:22"),
        ('userData: "#cloud-config"', "userdata: a", "schema-unknown-field", None, None),
        (
            '{userData: "#cloud-config"}',
            "{}",
            "vm-cloud-init-data",
            "spec.template.spec.volumes[1].cloudInitNoCloud",
            "31:40",
        ),
        ('userData: "#cloud-config"', "userData: a, secretRef: {name: b}", "vm-cloud-init-data", None, "31:54"),
        ('userData: "#cloud-config"', "userDataBase64: '***'", "base64-invalid", None, "31:57"),
        ("hostname: two", "hostname: Two", "vm-hostname-invalid", "spec.template.spec.hostname", "25:17"),
        ("hostname: two", "hostname: two.example.org", "vm-hostname-invalid", "spec.template.spec.hostname", "25:17"),
        ("metadata: {name: two}", "metadata: {name: Two}", "name-invalid", "metadata.name", "3:18"),
        (
            "metadata: {name: two}",
            "metadata: {name: two, namespace: a.b}",
            "name-invalid",
            "metadata.namespace",
            "3:34",
        ),
        ("metadata: {name: two}", f"metadata: {{name: {'a' * 195}}}", "name-too-long", "metadata.name", "3:18"),
        (
            "metadata: {name: two}",
            "metadata: {name: two, labels: {a_/b: c}}",
            "label-invalid",
            "metadata.labels.a_/b",
            "3:32",
        ),
        (
            "metadata: {name: two}",
            "metadata: {name: two, labels: {a: b c}}",
            "label-invalid",
            "metadata.labels.a",
            "3:35",
        ),
        ("metadata: {name: two}", "metadata: {name: two, annotations: {a b: c}}", "annotation-invalid", None, "3:37"),
        ("metadata: {name: two}", "metadata: {name: two, generateName: x}", "metadata-generate-name", None, "3:23"),
        (
            "  template:\n",
            "  template:\n    metadata: {labels: {a: -}}\n",
            "label-invalid",
            "spec.template.metadata.labels.a",
            "12:28",
        ),
        ("metadata: {name: two-root}", "metadata: {}", "vm-template-name-twice", None, "7:15"),
        ("source: {blank: {}}", "source: {}", "datavolume-source", "spec.dataVolumeTemplates[0].spec.source", "9:15"),
    ],
)
def test_each_rule(old: str, new: str, code: str, path: str | None, place: str | None) -> None:
    found = next((one for one in load(edited(TWO_DISKS, old, new)).problems if one.code == code), None)
    assert found is not None, [str(one) for one in load(edited(TWO_DISKS, old, new)).problems]
    assert path is None or found.path == path
    assert place is None or str(found.place) == f"vm.yaml:{place}"


def test_no_memory() -> None:
    found = only(load(edited(SMALL, "        memory: {guest: 128Mi}\n", "")).problems)
    assert (found.code, found.path) == ("vm-no-memory", "spec.template.spec.domain.memory.guest")
    limits = edited(SMALL, "memory: {guest: 128Mi}", "resources: {limits: {memory: 1Gi}}")
    assert load(limits).problems == ()
    instancetype = edited(
        edited(SMALL, "        memory: {guest: 128Mi}\n", ""), "spec:\n", "spec:\n  instancetype: {name: small}\n"
    )
    assert load(instancetype).problems == ()


def test_a_template_without_a_spec() -> None:
    text = SMALL[: SMALL.index("    spec:")].replace("  template:\n", "  template: {}\n")
    assert only(load(text).problems).code == "vm-no-memory"


def test_near_names_are_suggested() -> None:
    problems = load(edited(TWO_DISKS, "{name: root, boot", "{name: rot, boot")).problems
    assert {one.hint for one in problems} == {"did you mean root?", "did you mean rot?"}


def test_a_type_without_a_value_is_explained() -> None:
    found = only(load(edited(WEBSERVER, "{name: default, bridge: {}}", "{name: default, bridge: }")).problems)
    assert (found.code, str(found.place)) == ("vm-one-type", "vm.yaml:13:24")
    assert found.hint == "bridge has no value, which counts as absent; write bridge: {}"


def test_an_empty_cdrom_drive_and_an_ordinary_disk_without_a_type_are_fine() -> None:
    devices = "devices: {disks: [{name: drive, cdrom: {bus: sata}}, {name: data}]}\n      volumes: [{name: data, emptyDisk: {capacity: 1Gi}}]"
    assert load(edited(SMALL, "devices: {}", devices)).problems == ()


def test_a_filesystem_is_a_device_of_its_volume() -> None:
    devices = "devices: {filesystems: [{name: data, virtiofs: {}}]}\n      volumes: [{name: data, persistentVolumeClaim: {claimName: c}}]"
    assert load(edited(SMALL, "devices: {}", devices)).problems == ()


def test_one_claim_in_two_volumes_of_a_vm() -> None:
    text = edited(
        WEBSERVER, "{name: rootdisk, disk: {bus: virtio}}", "{name: rootdisk, disk: {}}, {name: more, disk: {}}"
    )
    text += "      - {name: more, dataVolume: {name: webserver-pvc}}\n"
    assert [one.code for one in load(text).problems] == ["vm-claim-twice"]


def test_two_templates_of_one_name() -> None:
    template = "  - metadata: {name: two-root}\n    spec: {source: {blank: {}}, storage: {resources: {requests: {storage: 1Gi}}}}\n"
    found = only(load(edited(TWO_DISKS, "  dataVolumeTemplates:\n", f"  dataVolumeTemplates:\n{template}")).problems)
    assert (found.code, found.path) == ("vm-template-name-twice", "spec.dataVolumeTemplates[1].metadata.name")


def test_rules_cost_a_good_vm_little() -> None:
    """Calls, not time, which depends on the machine: some 500 are 0.1 ms."""
    (document,) = load(TWO_DISKS).documents
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    check_document(document)
    sys.setprofile(count)
    try:
        assert check_document(document) == ()
    finally:
        sys.setprofile(None)
    assert calls < 650
