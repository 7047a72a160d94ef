"""Rules for claims, DataVolumes, Secrets, ConfigMaps and networks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.manifests.samples import CLAIM, DATA_VOLUME, load

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: aGVsbG8=}\nstringData: {other: hello}\n"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: hello}\nbinaryData: {other: aGVsbG8=}\n"
STORAGE_CLASS = (
    "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: gitvirt.io/pool\n"
)


HTTP = "http: {url: http://files.example.org/guest.qcow2}}"


def codes(text: str) -> list[str]:
    return [one.code for one in load(text).problems]


@pytest.mark.parametrize("text", [CLAIM, DATA_VOLUME, SECRET, CONFIG_MAP, STORAGE_CLASS])
def test_the_bases_are_valid(text: str) -> None:
    assert [one.code for one in load(text).problems if one.code != "secret-in-plain-text"] == []


@pytest.mark.parametrize(
    ("text", "old", "new", "code"),
    [
        (CLAIM, "{requests: {storage: 20Gi}}", "{}", "claim-no-size"),
        (CLAIM, "storage: 20Gi", "storage: 0", "quantity-invalid"),
        (CLAIM, "storage: 20Gi", "storage: 20GB", "schema-pattern"),
        (CLAIM, "[ReadWriteOnce]", "[]", "claim-access-modes"),
        (CLAIM, "[ReadWriteOnce]", "[ReadWriteOnce, ReadWriteOncePod]", "claim-access-modes"),
        (CLAIM, "[ReadWriteOnce]", "[ReadWriteTwice]", "schema-enum"),
        (CLAIM, "  accessModes", "  volumeMode: block\n  accessModes", "schema-enum"),
        (DATA_VOLUME, "source: {http", "source: {blank: {}, http", "datavolume-source"),
        (DATA_VOLUME, "source: {http: {url: http://files.example.org/guest.qcow2}}", "source: {}", "datavolume-source"),
        (DATA_VOLUME, "  storage:", "  pvc:", "claim-access-modes"),
        (DATA_VOLUME, "  storage: {", "  pvc: {accessModes: [ReadWriteOnce]}\n  storage: {", "datavolume-storage"),
        (DATA_VOLUME, "  storage: {resources: {requests: {storage: 1Gi}}}\n", "", "datavolume-storage"),
        (DATA_VOLUME, "requests: {storage: 1Gi}", "requests: {}", "claim-no-size"),
        (DATA_VOLUME, "http://files", "ftp://files", "url-invalid"),
        (DATA_VOLUME, "http://files.example.org/guest.qcow2", "guest.qcow2", "url-invalid"),
        (DATA_VOLUME, "http://files.example.org/guest.qcow2", "'http://[x/'", "url-invalid"),
        (DATA_VOLUME, "guest.qcow2}", "guest.qcow2, checksum: 'sha256:abc'}", "checksum-invalid"),
        (DATA_VOLUME, "guest.qcow2}", f"guest.qcow2, checksum: 'crc:{'a' * 64}'}}", "checksum-invalid"),
        (
            CLAIM,
            "{requests: {storage: 20Gi}}",
            "{requests: {storage: 20Gi}, limits: {storage: 1Gi}}",
            "claim-size-order",
        ),
        (CLAIM, "  accessModes", "  storageClassName: Fast\n  accessModes", "claim-name-invalid"),
        (CLAIM, "  accessModes", "  selector: {matchLabels: {a b: c}}\n  accessModes", "claim-selector"),
        (CLAIM, "  accessModes", "  dataSource: {kind: VolumeSnapshot, name: a}\n  accessModes", "claim-data-source"),
        (
            CLAIM,
            "  accessModes",
            "  dataSource: {kind: PersistentVolumeClaim, name: ''}\n  accessModes",
            "claim-data-source",
        ),
        (
            CLAIM,
            "  accessModes",
            "  dataSource: {kind: PersistentVolumeClaim, name: a}\n"
            "  dataSourceRef: {kind: PersistentVolumeClaim, name: b}\n  accessModes",
            "claim-data-source",
        ),
        (DATA_VOLUME, "storage: 1Gi", "storage: 1", "datavolume-small"),
        (
            DATA_VOLUME,
            "{resources",
            "{dataSource: {kind: PersistentVolumeClaim, name: a}, resources",
            "datavolume-source",
        ),
        (
            DATA_VOLUME,
            "  storage: {",
            "  pvc: {accessModes: [ReadWriteOnce, ReadOnlyMany], ",
            "claim-access-modes",
        ),
        (DATA_VOLUME, HTTP, "blank: {}}\n  contentType: archive\n  #", "datavolume-content"),
        (DATA_VOLUME, HTTP, "registry: {}}\n  #", "datavolume-source-incomplete"),
        (DATA_VOLUME, HTTP, "registry: {imageStream: a}}\n  #", "datavolume-source-incomplete"),
        (DATA_VOLUME, HTTP, "registry: {url: 'https://a/b'}}\n  #", "url-invalid"),
        (DATA_VOLUME, HTTP, "s3: {url: 'ftp://a/b'}}\n  #", "url-invalid"),
        (DATA_VOLUME, HTTP, "pvc: {namespace: '', name: a}}\n  #", "datavolume-source-incomplete"),
        (
            DATA_VOLUME,
            HTTP,
            "imageio: {url: 'https://a', diskId: b, secretRef: c}}\n  #",
            "datavolume-source-incomplete",
        ),
        (DATA_VOLUME, HTTP, "vddk: {url: 'https://a', uuid: b, secretRef: c}}\n  #", "datavolume-source-incomplete"),
        (DATA_VOLUME, "source: {" + HTTP, "sourceRef: {kind: Image, name: a}\n  #", "datavolume-source-ref"),
        (SECRET, "aGVsbG8=", "hello!", "base64-invalid"),
        (SECRET, "key:", "ke y:", "data-key-invalid"),
        (SECRET, "hello}", "h" * (1024 * 1024) + "}", "data-too-large"),
        (CONFIG_MAP, "aGVsbG8=", "hello!", "base64-invalid"),
        (CONFIG_MAP, "other:", "key:", "data-key-twice"),
        (CONFIG_MAP, "key: hello", "..: hello", "data-key-invalid"),
        (STORAGE_CLASS, "provisioner: gitvirt.io/pool\n", "reclaimPolicy: Retain\n", "schema-required"),
        (STORAGE_CLASS, "metadata", "volumeBindingMode: Later\nmetadata", "schema-enum"),
    ],
)
def test_each_rule(text: str, old: str, new: str, code: str) -> None:
    assert old in text
    assert set(codes(text.replace(old, new, 1))) == {code}


@pytest.mark.parametrize(
    "text",
    [
        DATA_VOLUME.replace("guest.qcow2}", f"guest.qcow2, checksum: 'sha256:{'aB' * 32}'}}"),
        DATA_VOLUME.replace(
            "http: {url: http://files.example.org/guest.qcow2}", "pvc: {namespace: a, name: b}"
        ).replace("{resources: {requests: {storage: 1Gi}}}", "{}"),
        DATA_VOLUME.replace(
            "source: {http: {url: http://files.example.org/guest.qcow2}}", "sourceRef: {kind: DataSource, name: a}"
        ),
        DATA_VOLUME.replace("http: {url: http://files.example.org/guest.qcow2}", "blank: {}"),
        DATA_VOLUME.replace(HTTP, "registry: {url: 'docker://registry.example.org/a:b'}}"),
        DATA_VOLUME.replace(HTTP, "registry: {url: 'oci-archive:///images/a.tar'}}"),
        DATA_VOLUME.replace(HTTP, "registry: {imageStream: a, pullMethod: node}}"),
        DATA_VOLUME.replace(HTTP, "gcs: {url: 'gs://a/b'}}"),
        DATA_VOLUME.replace(HTTP, "imageio: {url: 'https://a', diskId: b, secretRef: c, certConfigMap: d}}"),
        DATA_VOLUME.replace("  source: {" + HTTP + "\n", "").replace(
            "{resources", "{dataSource: {kind: PersistentVolumeClaim, name: a}, resources"
        ),
        CLAIM.replace(
            "  accessModes", "  storageClassName: fast.ssd\n  selector: {matchLabels: {a: b}}\n  accessModes"
        ),
        SECRET.replace(" {key: aGVsbG8=}", "\n  key: |\n    aGVs\n    bG8=\n"),
    ],
)
def test_what_is_allowed(text: str) -> None:
    assert [
        one.code for one in load(text).problems if one.code not in ("clone-source-missing", "secret-in-plain-text")
    ] == []


def test_an_empty_source_is_explained() -> None:
    (found,) = load(DATA_VOLUME.replace("http: {url: http://files.example.org/guest.qcow2}", "blank: ")).problems
    assert (found.code, str(found.place)) == ("datavolume-source", "vm.yaml:5:11")
    assert found.hint == "blank has no value, which counts as absent; write blank: {}"


def network(config: Any) -> str:
    """A NetworkAttachmentDefinition with this configuration (text as it is, anything else as JSON)."""
    text = config if isinstance(config, str) else json.dumps(config)
    return (
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\n"
        f"spec: {{config: {json.dumps(text)}}}\n"
    )


BRIDGE: dict[str, Any] = {"cniVersion": "1.0.0", "type": "bridge", "bridge": "br0"}


@pytest.mark.parametrize(
    "config",
    [
        BRIDGE,
        {
            **BRIDGE,
            "vlan": 100,
            "mtu": 9000,
            "promiscMode": True,
            "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
        },
        {**BRIDGE, "vlan": 0, "mtu": 0},
        {"type": "macvlan", "master": "eth0"},
        {"cniVersion": "1.0.0", "name": "a", "plugins": [BRIDGE, {"type": "tuning", "whatever": 1}]},
    ],
)
def test_networks_that_are_fine(config: Any) -> None:
    assert codes(network(config)) == []


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ("", "nad-no-config", "no CNI configuration"),
        ("{", "nad-config-json", "line 1, column 2"),
        ("[]", "nad-config-json", "not a JSON object"),
        ("[" * 100_000, "nad-config-json", "nested too deeply"),
        ({"bridge": "br0"}, "nad-config-type", "type is missing"),
        ({"plugins": []}, "nad-config-value", "at least one plugin"),
        ({"plugins": [{}]}, "nad-config-type", "plugins[0].type is missing"),
        ({**BRIDGE, "vlan": "100"}, "nad-config-value", "vlan must be a whole number"),
        ({**BRIDGE, "vlan": True}, "nad-config-value", "vlan must be a whole number"),
        ({**BRIDGE, "vlan": 4095}, "nad-config-value", "vlan 4095 is not between"),
        ({**BRIDGE, "mtu": 10}, "nad-config-value", "mtu 10 is not between"),
        ({**BRIDGE, "isGateway": "yes"}, "nad-config-value", "isGateway must be true or false"),
        ({**BRIDGE, "ipam": {"subnet": "10.1.0.0/33"}}, "nad-config-value", "ipam.subnet must be a network"),
        ({"plugins": [{**BRIDGE, "ipam": {"gateway": "x"}}]}, "nad-config-value", "plugins[0].ipam.gateway"),
        ({**BRIDGE, "promisc": True}, "nad-config-unknown", "no setting promisc"),
    ],
)
def test_networks_with_a_fault(config: Any, code: str, words: str) -> None:
    (found,) = load(network(config)).problems
    assert found.code == code
    assert words in found.message
    assert found.path == "spec.config"


def test_a_network_without_a_spec() -> None:
    text = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\n"
    assert codes(text) == ["nad-no-config"]


def test_other_kinds_have_their_names_checked() -> None:
    assert codes("apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n") == ["name-invalid"]
    assert codes(STORAGE_CLASS.replace("fast", "fast.ssd")) == []
    assert codes(STORAGE_CLASS.replace("fast", "Fast")) == ["name-invalid"]


def test_large_annotations_are_refused() -> None:
    text = CLAIM.replace("{name: webserver-pvc}", f"{{name: a, annotations: {{note: {'x' * 300_000}}}}}")
    assert codes(text) == ["annotation-invalid"]
