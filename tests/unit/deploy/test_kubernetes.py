"""The manifests are what they say: one namespace or all, as little as is enough, and in step with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeexec.kubevirt.own_objects import deletions_name, lease_name, register_names
from reconciler.daemon.service import DRAIN_S
from reconciler.settings import load_settings

BASE = Path(__file__).parents[3] / "deploy" / "kubernetes"
OVERLAYS = ("cluster-wide", "namespaced")


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def resources(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(namespace, object) of a kustomization and everything below it."""
    body = documents(directory / "kustomization.yaml")[0]
    for name in body["resources"]:
        path = directory / name
        found = resources(path) if path.is_dir() else (("", document) for document in documents(path))
        for namespace, document in found:
            yield body.get("namespace", namespace) or namespace, document


def of_kind(overlay: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(namespace, document) for namespace, document in resources(BASE / overlay) if document["kind"] == kind]


@pytest.fixture(scope="module")
def pod() -> Mapping[str, Any]:
    spec: Mapping[str, Any] = documents(BASE / "base/deployment.yaml")[0]["spec"]
    assert spec["replicas"] == 2
    return dict(spec["template"]["spec"])


@pytest.fixture(scope="module")
def said() -> Mapping[str, Any]:
    return documents(BASE / "base/settings.yaml")[0]


def test_the_pod_has_no_right_that_it_does_not_need(pod: Mapping[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all("hostPath" not in volume for volume in pod["volumes"])
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]


def test_it_agrees_with_the_code(pod: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > DRAIN_S + 5
    port = container["ports"][0]["containerPort"]
    assert said["web"]["listen"] == f"0.0.0.0:{port}"
    assert documents(BASE / "base/service.yaml")[0]["spec"]["ports"][0]["port"] == port
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    settings = {variable["name"]: variable["value"] for variable in container["env"]}["GITVIRT_SETTINGS"]
    places = {mount["name"]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    assert Path(settings) == places["settings"] / "settings.yaml"
    assert Path(said["runtimeDirectory"]) == places["run"]
    assert Path(said["stateDirectory"]).is_relative_to(places["state"])
    assert Path(said["keyFile"]).is_relative_to(places["state"])
    assert all(Path(path).is_relative_to(places["git"]) for path in said["source"]["auth"].values())
    assert {volume["name"] for volume in pod["volumes"]} == set(places)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rights_are_named_one_by_one_and_bound_to_the_one_account(overlay: str) -> None:
    roles = [document for kind in ("Role", "ClusterRole") for _, document in of_kind(overlay, kind)]
    for rule in (rule for role in roles for rule in role["rules"]):
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        assert "*" not in str(rule)
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
        assert not {"pods", "pods/exec", "nodes", "persistentvolumes"} & set(rule["resources"])
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for namespace, binding in of_kind(overlay, kind):
            (subject,) = binding["subjects"]
            assert (subject["kind"], subject["name"]) == ("ServiceAccount", "gitvirt")
            assert subject.get("namespace", namespace) == "gitvirt"
            assert binding["roleRef"]["name"] in {role["metadata"]["name"] for role in roles}


def test_what_is_never_pruned_cannot_be_deleted() -> None:
    (_, role), = of_kind("cluster-wide", "ClusterRole")  # fmt: skip
    deletable = {resource for rule in role["rules"] if "delete" in rule["verbs"] for resource in rule["resources"]}
    assert not {"namespaces", "storageclasses", "virtualmachineinstances", "kubevirts"} & deletable


def test_one_namespace_is_given_nothing_of_the_cluster() -> None:
    assert not of_kind("namespaced", "ClusterRole")
    wide = {str(rule) for _, role in of_kind("cluster-wide", "ClusterRole") for rule in role["rules"]}
    (_, role), = [found for found in of_kind("namespaced", "Role") if found[0] == "vms"]  # fmt: skip
    assert {str(rule) for rule in role["rules"]} < wide
    patch = documents(BASE / "namespaced/daemon/kustomization.yaml")[0]["patches"][0]["patch"]
    assert "engine.kubevirt.namespaces=[vms]" in patch


def test_the_settings_are_valid() -> None:
    settings = load_settings(BASE / "base/settings.yaml", ["engine.kubevirt.namespaces=[vms]"])
    assert (settings.engine.name, settings.engine.options) == ("kubevirt", {"namespaces": ["vms"]})
    assert lease_name(settings.policy.owner) == "gitvirt-gitvirt"


@pytest.mark.parametrize("owner", ["Lab", "lab_1", "-x", "lab."])
def test_owners_that_no_object_can_be_called_after_have_leases_too(owner: str) -> None:
    assert re.fullmatch(r"gitvirt-[0-9a-f]{16}", lease_name(owner))
    assert lease_name(owner) != lease_name(owner.lower()) or owner == owner.lower()


def test_only_the_one_lease_may_be_written(said: Mapping[str, Any]) -> None:
    role = documents(BASE / "base/leadership.yaml")[0]
    writing = [rule for rule in role["rules"] if "update" in rule["verbs"]]
    owner = said.get("owner", "gitvirt")
    assert [rule["resourceNames"] for rule in writing] == [[lease_name(owner)]]
    kept = [rule for rule in role["rules"] if "patch" in rule["verbs"]]
    assert [(rule["resources"], rule["resourceNames"]) for rule in kept] == [
        (["configmaps"], [deletions_name(owner)]),
        (["configmaps"], list(register_names(owner))),
    ]


def build(directory: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a directory."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(directory)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_the_overlay_of_the_documentation_builds(tmp_path: Path, said: Mapping[str, Any]) -> None:
    page = (BASE.parents[1] / "docs/kubevirt.md").read_text()
    shown = re.findall(r"^   ```yaml\n(.*?)^   ```", page, re.M | re.S)
    assert len(shown) == 1
    (tmp_path / "kustomization.yaml").write_text(textwrap.dedent(shown[0]))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({**said, "mode": "enforce"}))
    shutil.copytree(BASE, tmp_path / "gitvirt")
    built = {document["kind"]: document for document in build(tmp_path)}
    assert yaml.safe_load(built["ConfigMap"]["data"]["settings.yaml"])["mode"] == "enforce"
    assert built["PersistentVolumeClaim"]["spec"]["storageClassName"] == "cephfs"
    (container,) = built["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.internal/gitvirt:0.1.0"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_builds_it(overlay: str) -> None:
    built = build(BASE / overlay)
    assert len(built) == len(list(resources(BASE / overlay))) + 1
    names = {document["metadata"]["name"] for document in built if document["kind"] == "ConfigMap"}
    (deployment,) = [document for document in built if document["kind"] == "Deployment"]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} == names
