"""Documents checked against each other, and files assembled into a set."""

from __future__ import annotations

import pytest

from reconciler.manifests.joined import Joined
from reconciler.manifests.load import LoadedFile
from reconciler.manifests.templates import template_documents
from reconciler.model.declared import Contest
from reconciler.model.document import NO_POSITIONS, Document
from reconciler.model.keys import ObjectKey
from tests.unit.manifests.samples import (
    CLAIM,
    DATA_VOLUME,
    NETWORK,
    SMALL,
    WEBSERVER,
    assembled,
    edited,
    joined,
    load,
    only,
)
from tests.unit.manifests.test_vm_rules import TWO_DISKS

WEBSERVER_KEY = ObjectKey("VirtualMachine", "default", "webserver-vm")
LAN = edited(NETWORK, "multus-external-network", "lan")


def vm(
    name: str, *, disk: str = "disk: {}", volume: str = "", mac: str = "", uuid: str = "", namespace: str = "default"
) -> str:
    """A VM with, where asked for, one disk on ``volume``, one interface and a firmware UUID."""
    text = edited(SMALL, "{name: small}", f"{{name: {name}, namespace: {namespace}}}")
    devices = []
    tail = ""
    if volume:
        devices.append(f"disks: [{{name: d, {disk}}}]")
        tail += f"\n      volumes: [{{name: d, {volume}}}]"
    if mac:
        devices.append(f"interfaces: [{{name: nic, bridge: {{}}, macAddress: '{mac}'}}]")
        tail += "\n      networks: [{name: nic, pod: {}}]"
    firmware = f"firmware: {{uuid: {uuid}}}\n        " if uuid else ""
    return edited(text, "devices: {}", f"{firmware}devices: {{{', '.join(devices)}}}{tail}")


CLAIMED = "persistentVolumeClaim: {claimName: webserver-pvc}"


def codes(found: Joined) -> list[str]:
    return [one.code for one in found.problems]


@pytest.mark.parametrize(
    ("texts", "code", "place", "hint"),
    [
        ([WEBSERVER, NETWORK], "claim-missing", "0.yaml:19:61", "declare it, or correct the name"),
        (
            [WEBSERVER, CLAIM.replace("-pvc", "-pvs"), NETWORK],
            "claim-missing",
            "0.yaml:19:61",
            "did you mean webserver-pvs?",
        ),
        ([WEBSERVER, CLAIM], "network-missing", "0.yaml:17:53", "declare it, or correct the name"),
        (
            [WEBSERVER, CLAIM, edited(NETWORK, "{name:", "{namespace: other, name:")],
            "network-missing",
            "0.yaml:17:53",
            "declare it",
        ),
        (
            [WEBSERVER, edited(CLAIM, "{name:", "{namespace: other, name:"), NETWORK],
            "claim-missing",
            "0.yaml:19:61",
            "declare it",
        ),
    ],
)
def test_what_is_used_must_be_declared(texts: list[str], code: str, place: str, hint: str) -> None:
    found = assembled(*texts)
    problem = only(found.problems)
    assert (problem.code, str(problem.place)) == (code, place)
    assert hint in problem.hint
    assert list(found.invalid) == [WEBSERVER_KEY]
    assert WEBSERVER_KEY not in found.documents


def test_a_network_may_name_its_namespace() -> None:
    text = edited(WEBSERVER, "networkName: multus", "networkName: other/multus")
    assert codes(assembled(text, CLAIM, edited(NETWORK, "{name:", "{namespace: other, name:"))) == []


def test_a_data_volume_or_a_template_is_a_claim() -> None:
    volume = edited(DATA_VOLUME, "name: root", "name: webserver-pvc")
    assert codes(assembled(WEBSERVER, volume, NETWORK)) == []
    assert codes(assembled(TWO_DISKS, LAN)) == []
    assert codes(assembled(edited(TWO_DISKS, "dataVolume: {name:", "persistentVolumeClaim: {claimName:"), LAN)) == []


def test_an_invalid_claim_is_present() -> None:
    found = assembled(WEBSERVER, edited(CLAIM, "20Gi", "20GB"), NETWORK)
    assert codes(found) == ["schema-pattern"]
    assert WEBSERVER_KEY in found.documents


def test_an_unreadable_file_is_named_as_a_possible_reason() -> None:
    found = assembled(WEBSERVER, "a: [\n", NETWORK)
    assert codes(found) == ["claim-missing", "yaml-syntax"]
    assert found.problems[0].hint == "a file or source that cannot be read may declare it: correct that first"
    assert [one.code for one in found.unidentified] == ["yaml-syntax"]


@pytest.mark.parametrize(
    ("volume", "code"),
    [
        ("cloudInitNoCloud: {secretRef: {name: s}}", "secret-missing"),
        ("cloudInitConfigDrive: {userData: x, networkDataSecretRef: {name: s}}", "secret-missing"),
        ("secret: {secretName: s}", "secret-missing"),
        ("secret: {secretName: s, optional: true}", None),
        ("configMap: {name: s}", "configmap-missing"),
        ("configMap: {name: s, optional: true}", None),
        ("sysprep: {configMap: {name: s}}", "configmap-missing"),
        ("ephemeral: {persistentVolumeClaim: {claimName: s}}", "claim-missing"),
    ],
)
def test_references_of_volumes(volume: str, code: str | None) -> None:
    text = vm("a", volume=volume)
    assert codes(assembled(text)) == ([code] if code else [])
    others = [f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: s}}\n" for kind in ("Secret", "ConfigMap")]
    assert codes(assembled(text, *others, edited(CLAIM, "webserver-pvc", "s"))) == []


def test_access_credentials_need_their_secret() -> None:
    credentials = (
        "accessCredentials: [{sshPublicKey: {source: {secret: {secretName: s}}, propagationMethod: {noCloud: {}}}}]\n"
    )
    seed = "      volumes: [{name: seed, cloudInitNoCloud: {userData: a}}]\n"
    devices = "devices: {disks: [{name: seed, cdrom: {}}]}"
    text = edited(SMALL, "      domain:", f"      {credentials}{seed}      domain:")
    found = assembled(edited(text, "devices: {}", devices))
    assert codes(found) == ["secret-missing"]


def test_a_clone_source_may_be_live_only() -> None:
    text = edited(
        DATA_VOLUME, "http: {url: http://files.example.org/guest.qcow2}", "pvc: {namespace: images, name: base}"
    )
    found = assembled(text)
    assert codes(found) == ["clone-source-missing"]
    assert dict(found.invalid.items()) == {}
    assert codes(assembled(text, edited(CLAIM, "name: webserver-pvc", "name: base, namespace: images"))) == []


def test_an_object_in_two_files() -> None:
    found = assembled(CLAIM, CLAIM, edited(WEBSERVER, "pod: {}", "pod: {}"), NETWORK)
    assert codes(found) == ["object-duplicate", "object-duplicate"]
    assert [str(one.place) for one in found.problems] == ["0.yaml:3:18", "1.yaml:3:18"]
    assert "1.yaml:3:18" in found.problems[0].message
    assert "0.yaml:3:18" in found.problems[1].message
    assert list(found.invalid) == [ObjectKey("PersistentVolumeClaim", "default", "webserver-pvc")]
    assert WEBSERVER_KEY in found.documents


def test_a_valid_and_an_invalid_declaration_of_one_object() -> None:
    found = assembled(CLAIM, edited(CLAIM, "20Gi", "20GB"))
    assert codes(found) == ["object-duplicate", "object-duplicate", "schema-pattern"]
    assert dict(found.documents.items()) == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CLAIM, edited(DATA_VOLUME, "name: root", "name: webserver-pvc")),
        (TWO_DISKS, edited(DATA_VOLUME, "name: root", "name: two-root")),
        (TWO_DISKS, edited(TWO_DISKS, "metadata: {name: two}", "metadata: {name: three}")),
    ],
)
def test_two_documents_that_make_one_volume(first: str, second: str) -> None:
    found = assembled(first, second, LAN)
    collisions = [one for one in found.problems if one.code == "claim-collision"]
    assert [one.place.file for one in collisions] == ["0.yaml", "1.yaml"]
    assert len(found.invalid) == 2


def test_one_disk_in_two_vms() -> None:
    found = assembled(vm("a", volume=CLAIMED), edited(vm("b", volume=CLAIMED), "Always", "Halted"), CLAIM)
    assert codes(found) == ["disk-claimed-twice", "disk-claimed-twice"]
    assert "VirtualMachine/default/b at 1.yaml:3:18" in found.problems[0].message
    claimants = (ObjectKey("VirtualMachine", "default", "a"), ObjectKey("VirtualMachine", "default", "b"))
    assert found.contests == (
        Contest(code="disk-claimed-twice", resource="default/webserver-pvc", claimants=claimants),
    )
    assert dict(found.invalid.items()) == {}
    assert set(claimants) < set(found.documents)


@pytest.mark.parametrize(
    ("first", "second", "contended"),
    [
        ("shareable: true, disk: {}", "shareable: true, disk: {}", False),
        ("shareable: true, disk: {}", "disk: {}", True),
        ("cdrom: {}", "cdrom: {}", False),
        ("disk: {readonly: true}", "disk: {readonly: true}", False),
        ("disk: {readonly: true}", "disk: {}", True),
    ],
)
def test_when_a_disk_may_be_shared(first: str, second: str, contended: bool) -> None:
    found = assembled(vm("a", disk=first, volume=CLAIMED), vm("b", disk=second, volume=CLAIMED), CLAIM)
    assert bool(found.contests) is contended


def test_claims_of_one_name_in_two_namespaces() -> None:
    other = edited(CLAIM, "{name:", "{namespace: other, name:")
    found = assembled(vm("a", volume=CLAIMED), vm("b", volume=CLAIMED, namespace="other"), CLAIM, other)
    assert found.problems == ()


def test_addresses_and_uuids_of_two_vms() -> None:
    mac, uuid = "02:00:00:00:00:0A", "5d307ca9-b3ef-428c-8861-06e72d69f223"
    found = assembled(
        vm("a", mac=mac, uuid=uuid),
        vm("b", mac="02-00-00-00-00-0a", uuid=uuid.upper(), namespace="other"),
        vm("c", mac=mac),
    )
    assert [(one.code, one.resource, len(one.claimants)) for one in found.contests] == [
        ("mac-duplicate", "02:00:00:00:00:0a", 3),
        ("uuid-duplicate", uuid, 2),
    ]
    assert sorted(codes(found)) == ["mac-duplicate"] * 3 + ["uuid-duplicate"] * 2
    assert all("and 1 more" in one.message for one in found.problems if one.code == "mac-duplicate")


def test_documents_without_positions_can_be_checked() -> None:
    (document,) = load(WEBSERVER).documents
    bare = Document(key=document.key, api_version="", body=document.body, digest="", file="x", positions=NO_POSITIONS)
    found = joined([LoadedFile(file="x", documents=(bare,))])
    assert {str(one.place) for one in found.problems} == {"x"}


def test_templates_become_data_volumes_with_positions_in_the_vm() -> None:
    (document,) = load(edited(TWO_DISKS, "{name: two}", "{name: two, namespace: shop}")).documents
    (volume,) = template_documents(document)
    assert volume.key == ObjectKey("DataVolume", "shop", "two-root")
    assert volume.body == {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "two-root", "namespace": "shop"},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
    }
    assert str(volume.place(("spec", "storage", "resources", "requests", "storage"))) == "vm.yaml:10:49"
    assert str(volume.place(("spec", "source"), key=True)) == "vm.yaml:9:7"
    assert str(volume.place(("metadata", "name"))) == "vm.yaml:7:22"
    assert str(volume.place(("kind",))) == "vm.yaml:7:5"
    assert joined([LoadedFile(file="vm.yaml", documents=(volume,))]).problems == ()


def test_templates_with_labels_keep_their_places() -> None:
    template = "  - apiVersion: cdi.kubevirt.io/v1beta1\n    kind: DataVolume\n    metadata:\n      labels: {a: b}\n      name: two-root\n"
    (document,) = load(edited(TWO_DISKS, "  - metadata: {name: two-root}\n", template)).documents
    (volume,) = template_documents(document)
    assert str(volume.place(("metadata", "labels", "a"))) == "vm.yaml:10:19"
    assert str(volume.place(("metadata", "name"))) == "vm.yaml:11:13"
    assert str(volume.place(("kind",))) == "vm.yaml:8:11"
    assert str(volume.place(("spec", "source", "blank"))) == "vm.yaml:13:23"
