"""Files become documents, invalid documents with a known identity, and parts that nobody can identify."""

from __future__ import annotations

import pytest

from reconciler.manifests.foreign_kinds import served
from reconciler.manifests.load import is_kustomization, is_manifest, kustomization_problem, load_blob
from reconciler.model.document import Positions
from reconciler.model.keys import ObjectKey
from tests.unit.manifests.samples import CLAIM, NETWORK, SMALL, WEBSERVER, assembled, edited, load, only


def test_the_webserver_loads_without_problems() -> None:
    found = assembled(WEBSERVER + "---\n" + CLAIM + "---\n" + NETWORK)
    assert found.problems == ()
    assert [str(key) for key in sorted(found.documents)] == [
        "NetworkAttachmentDefinition/default/multus-external-network",
        "PersistentVolumeClaim/default/webserver-pvc",
        "VirtualMachine/default/webserver-vm",
    ]


def test_keys_namespaces_and_digests() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    (namespace,) = load(text).documents
    assert namespace.key == ObjectKey("Namespace", "", "shop")
    (named,) = load(edited(CLAIM, "{name:", "{namespace: shop, name:")).documents
    (default,) = load_blob(CLAIM.encode(), "a.yaml", default_namespace="shop").documents
    assert named.key == default.key == ObjectKey("PersistentVolumeClaim", "shop", "webserver-pvc")
    (same,) = load("# moved\n\n" + CLAIM.replace("20Gi", '"20Gi"'), file="b.yaml").documents
    assert same.digest == default.digest != named.digest
    assert str(same.place(("spec", "accessModes", 0))) == "b.yaml:7:17"


def test_a_list_gives_its_items_with_their_positions() -> None:
    items = "".join("- " + text.replace("\n", "\n  ").rstrip(" ") for text in (CLAIM, NETWORK))
    loaded = load("apiVersion: v1\nkind: List\nitems:\n" + items)
    assert loaded.problems == ()
    assert [document.key.kind for document in loaded.documents] == [
        "PersistentVolumeClaim",
        "NetworkAttachmentDefinition",
    ]
    assert str(loaded.documents[0].place(("spec", "accessModes"))) == "vm.yaml:8:18"
    assert str(loaded.documents[1].place(("spec", "config"))) == "vm.yaml:14:13"


def test_problems_of_list_items_are_placed_and_explained() -> None:
    items = "- " + edited(CLAIM, "[ReadWriteOnce]", "yes").replace("\n", "\n  ").rstrip(" ")
    found = only(load("apiVersion: v1\nkind: List\nitems:\n" + items).problems)
    assert (found.code, found.path, str(found.place)) == ("schema-type", "spec.accessModes", "vm.yaml:8:18")


def test_json_and_null_creation_timestamps() -> None:
    text = (
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "creationTimestamp": null},'
        ' "data": {"a": "b"}, "status": null}'
    )
    loaded = load_blob(text.encode(), "a.json")
    assert loaded.problems == ()
    assert loaded.documents[0].body["metadata"] == {"name": "a"}


def test_server_written_fields_and_status_are_tolerated() -> None:
    text = edited(
        CLAIM,
        "{name: webserver-pvc}",
        "{name: webserver-pvc, uid: x, resourceVersion: '1', generation: 2, creationTimestamp: '2024-01-01T00:00:00Z',"
        " finalizers: [a/b], ownerReferences: [{apiVersion: v1, kind: A, name: b, uid: c}],"
        " managedFields: [{manager: m, fieldsV1: {f:x: {}}}]}",
    )
    assert load(text + "status: {phase: Bound, capacity: {storage: 20Gi}}\n").problems == ()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("hello\n", "document-unidentified", "vm.yaml:1:1"),
        ("- a\n", "document-unidentified", "vm.yaml:1:1"),
        ("# first\nkind: A\n", "document-unidentified", "vm.yaml:2:1"),
        (edited(CLAIM, "name: webserver-pvc", "nam: x"), "document-unidentified", "vm.yaml:1:1"),
        (edited(CLAIM, "name: webserver-pvc", "name: 12"), "document-unidentified", "vm.yaml:1:1"),
        (edited(CLAIM, "name: webserver-pvc", "name: a, namespace: no"), "document-unidentified", "vm.yaml:1:1"),
        (edited(CLAIM, "name: webserver-pvc", "generateName: a-"), "document-unidentified", "vm.yaml:1:1"),
        (edited(CLAIM, "name: webserver-pvc", "name: Webserver-pvc"), "name-invalid", "vm.yaml:3:18"),
        (edited(CLAIM, "name: webserver-pvc", "name: a, namespace: no_where"), "name-invalid", "vm.yaml:3:32"),
        (edited(CLAIM, "name: webserver-pvc", "name: Webserver-pvc, uid: [1]"), "schema-type", "vm.yaml:3:38"),
        (edited(CLAIM, "{name: webserver-pvc}", "{name: a, name: b}"), "yaml-duplicate-key", "vm.yaml:3:21"),
        (edited(WEBSERVER, "VirtualMachine", "Virtualmachine"), "kind-unknown", "vm.yaml:2:7"),
        (edited(WEBSERVER, "VirtualMachine", "VirtualMachines"), "kind-unknown", "vm.yaml:2:7"),
        (edited(CLAIM, "PersistentVolumeClaim", "PersistentVolumeCliam"), "kind-unknown", "vm.yaml:2:7"),
        (edited(CLAIM, "  resources", "\tresources"), "yaml-syntax", "vm.yaml:6:1"),
    ],
)
def test_what_cannot_be_identified_is_said_apart(text: str, code: str, place: str) -> None:
    loaded = load(text)
    assert (loaded.documents, loaded.invalid) == ((), ())
    found = only(loaded.unidentified)
    assert (found.code, str(found.place)) == (code, place)


@pytest.mark.parametrize(
    "text",
    [
        edited(WEBSERVER, "cores: 2", "cores: two"),
        edited(WEBSERVER, "cores: 2", "cores: 2, cores: 3"),
        edited(WEBSERVER, "kubevirt.io/v1\n", "kubevirt.io/v1alpha3\n"),
        edited(WEBSERVER, "kubevirt.io/v1\n", "kubevirt.oi/v1\n"),
        edited(WEBSERVER, "cpu: {cores: 2}", "cpu: !!python/none {cores: 2}"),
    ],
)
def test_an_invalid_object_keeps_its_key(text: str) -> None:
    loaded = load(CLAIM, text)
    assert [document.key.name for document in loaded.documents] == ["webserver-pvc"]
    assert [invalid.key for invalid in loaded.invalid] == [ObjectKey("VirtualMachine", "default", "webserver-vm")]
    assert loaded.unidentified == ()
    assert all(one.object == loaded.invalid[0].key for one in loaded.problems)


@pytest.mark.parametrize("kind", ["PersistentVolume", "VirtualMachineInstance", "Service", "DataSource", "Node"])
def test_kinds_that_only_resemble_known_ones_are_identified(kind: str) -> None:
    loaded = load(f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: web}}\n")
    assert (len(loaded.documents), loaded.problems) == (1, ())


def test_other_kinds_are_a_problem_where_the_engine_does_not_serve_them() -> None:
    loaded = load("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n")
    (document,) = loaded.documents
    assert str(document.key) == "Deployment.apps/default/web"
    found = only(served(lambda _: (), False)(document))
    assert (found.code, found.object) == ("kind-unknown", document.key)
    assert "VirtualMachine" in found.hint
    assert served(lambda _: (found,), True)(document) == ()


@pytest.mark.parametrize(("version", "kind"), [("v1", "../../x"), ("apps v1", "Deployment"), ("v1", "deployment")])
def test_what_can_be_no_kind_is_invalid(version: str, kind: str) -> None:
    found = only(load(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: web}}\n").problems)
    assert found.code == "kind-unknown"


def test_a_wrong_api_version_names_the_right_one() -> None:
    found = only(load(edited(WEBSERVER, "kubevirt.io/v1\n", "kubevirt.io/v1alpha3\n")).problems)
    assert (found.code, str(found.place), found.path) == ("kind-unknown", "vm.yaml:1:13", "apiVersion")
    assert found.hint == "write apiVersion: kubevirt.io/v1"


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("a.yaml", True),
        ("x/y/a.yml", True),
        ("a.json", True),
        ("a.txt", False),
        ("README.md", False),
        (".a.yaml", False),
        (".github/workflows/a.yaml", False),
        ("x/kustomization.yaml", False),
        ("x/my-kustomization.yaml", True),
    ],
)
def test_which_files_are_manifests(path: str, read: bool) -> None:
    assert is_manifest(path) is read


def test_a_kustomization_is_said_to_be_ignored() -> None:
    found = kustomization_problem("x/kustomization.yaml")
    assert (found.code, found.severity, found.place.file) == (
        "kustomization-ignored",
        "warning",
        "x/kustomization.yaml",
    )
    assert is_kustomization("x/kustomization.yaml")
    assert not is_kustomization("x/a.yaml")


@pytest.mark.parametrize(
    ("field", "line"),
    [("labels", "metadata: {name: a, labels: {x: }}"), ("data", "metadata: {name: a}\ndata:\n  x:")],
)
def test_a_free_mapping_may_not_have_null_values(field: str, line: str) -> None:
    found = only(load(f"apiVersion: v1\nkind: ConfigMap\n{line}\n").problems)
    assert found.code == "null-in-map"
    assert found.path.endswith(f"{field}.x")


def test_warnings_leave_a_document_valid() -> None:
    loaded = load(edited(NETWORK, '"bridge": "br-ext"', '"bridge": "br-ext", "promiscmode": true'))
    assert len(loaded.documents) == 1
    found = only(loaded.warnings)
    assert (found.code, found.severity, found.hint) == ("nad-config-unknown", "warning", "did you mean promiscMode?")


def test_positions_belong_to_the_document() -> None:
    first, second = load(CLAIM, SMALL).documents
    assert first.positions.of(first.body, ("spec",)) == (5, 3)
    assert second.positions.of(second.body, ("spec", "template", "spec", "domain", "memory", "guest")) == (16, 25)
    assert isinstance(second.positions, Positions)


def test_secrets_do_not_show_in_problems() -> None:
    canary = "c4n4ry"
    texts = [
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{password: !!int {canary}}}\n",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{password: a: {canary}}}\n",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{password: {canary}!}}\n",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{password: [{canary}]}}\n",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {canary}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: 12345678}\n",
        edited(
            WEBSERVER,
            "persistentVolumeClaim: {claimName: webserver-pvc}",
            f"cloudInitNoCloud: {{userDataBase64: {canary}!}}",
        ),
        edited(WEBSERVER, "persistentVolumeClaim: {claimName: webserver-pvc}", f"cloudInitNoCloud: {canary}"),
        edited(
            edited(CLAIM, "PersistentVolumeClaim", "DataVolume"),
            "apiVersion: v1",
            "apiVersion: cdi.kubevirt.io/v1beta1",
        ).replace("accessModes: [ReadWriteOnce]", f"source: {{http: {{url: 'ftp://u:{canary}@h/x'}}}}"),
    ]
    for text in texts:
        problems = load(text).problems
        assert problems
        shown = " ".join(str(one) for one in problems)
        assert canary not in shown
        assert "12345678" not in shown
