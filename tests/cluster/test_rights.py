"""The rights of ``deploy/kubernetes`` are enough for the whole engine, and no more than it uses: tried as that service account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.client import APPLY, ApiClient
from nodeexec.kubevirt.errors import Request
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, KINDS, NETWORK, VM
from nodeexec.kubevirt.lease_api import cluster_leadership
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.settings import Settings
from reconciler.wiring import apply_once, ask_here
from tests.cluster.hands import wait_until
from tests.cluster.planes import Cluster
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.deploy.test_kubernetes import BASE, resources

APIS = {
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Service": ("/api/v1", "services"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
}
OF_THE_CLUSTER = ("ClusterRole", "ClusterRoleBinding")
DRY = ("Deployment", "PersistentVolumeClaim", "Service", "PodDisruptionBudget", "NetworkPolicy")
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

MANIFESTS = """apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: data}
spec:
  source: {blank: {}}
  storage: {resources: {requests: {storage: 1Gi}}}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan}
spec: {config: '{"cniVersion": "0.3.1", "type": "bridge"}'}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {userdata: "#cloud-config"}
"""

UNUSED_HERE = {
    # KubeVirt's own API is not served here: `may` is asked of each.
    ("update", "virtualmachines.subresources.kubevirt.io/start"),
    ("update", "virtualmachines.subresources.kubevirt.io/stop"),
    ("update", "virtualmachines.subresources.kubevirt.io/restart"),
    ("update", "virtualmachineinstances.subresources.kubevirt.io/pause"),
    ("update", "virtualmachineinstances.subresources.kubevirt.io/unpause"),
    # Only an object that moved under a change is read again.
    ("get", "virtualmachines.kubevirt.io"),
    ("get", "network-attachment-definitions.k8s.cni.cncf.io"),
    # CDI asks it of us.
    ("create", "datavolumes.cdi.kubevirt.io/source"),
}


class Account:
    """The service account with the rights of an overlay, in namespaces of one test's own."""

    def __init__(self, cluster: Cluster, overlay: str, own: str, vms: str) -> None:
        assert cluster.plane is not None
        self.hands, self.overlay, self.own, self.vms = cluster.hands, overlay, own, vms
        self.user = f"system:serviceaccount:{own}:gitvirt"
        self.groups = ("system:serviceaccounts", f"system:serviceaccounts:{own}", "system:authenticated")
        self._usual = json.loads(cluster.kubeconfig.read_text())
        self.kubeconfig = cluster.kubeconfig.with_name(f"{own}.kubeconfig")

    def install(self) -> None:
        """Apply the overlay: rights for good, the rest as a dry run, all of it checked by the server."""
        names = {"gitvirt": self.own, "vms": self.vms}
        for namespace, document in resources(BASE / self.overlay):
            kind, body = document["kind"], json.loads(json.dumps(document))
            for subject in body.get("subjects", ()):
                subject["namespace"] = self.own
            path = self._path(kind, names.get(namespace, namespace), body)
            query = {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict"}
            if kind in DRY:
                query["dryRun"] = "All"
                labels = {"app.kubernetes.io/name": "gitvirt"}
                if kind == "Deployment":
                    body["spec"]["selector"] = {"matchLabels": labels}
                    body["spec"]["template"]["metadata"] = {"labels": labels}
            self.hands.call("PATCH", path, body, query, APPLY)

    def log_in(self) -> None:
        """A kubeconfig with a token of the account, as a pod of it has."""
        path = self._path("ServiceAccount", self.own, {"metadata": {"name": "gitvirt"}})
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.hands.call("POST", f"{path}/token", wanted)["status"]["token"]
        users = [{"name": user["name"], "user": {"token": token}} for user in self._usual["users"]]
        self.kubeconfig.write_text(json.dumps({**self._usual, "users": users}))

    def remove(self) -> None:
        """What is of the whole cluster must not outlive the test."""
        for _, document in resources(BASE / self.overlay):
            if document["kind"] in OF_THE_CLUSTER:
                self.hands.call("DELETE", self._path(document["kind"], "", document))

    def may(self, verb: str, resource: str, namespace: str = "", group: str = "", name: str = "") -> bool:
        """What the API server's authorizer says."""
        plural, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb, "resource": plural, "subresource": subresource, "namespace": namespace, "group": group,
            "name": name,
        }  # fmt: skip
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": self.user, "groups": list(self.groups), "resourceAttributes": attributes},
        }
        return bool(self.hands.call("POST", REVIEWS, body)["status"]["allowed"])

    def are_in_force(self) -> bool:
        """Whether the authorizer knows each rule: roles and bindings come to it one by one, on watches of their own."""
        places = {"gitvirt": self.own, "vms": self.vms}
        return all(
            self.may(
                rule["verbs"][0],
                rule["resources"][0],
                places.get(namespace, namespace) if role["kind"] == "Role" else self.vms,
                rule["apiGroups"][0],
                next(iter(rule.get("resourceNames", ())), ""),
            )
            for namespace, role in resources(BASE / self.overlay)
            if role["kind"] in ("Role", "ClusterRole")
            for rule in role["rules"]
        )

    @property
    def rights(self) -> set[tuple[str, str]]:
        """(verb, resource) of every rule about objects of VMs."""
        return {
            (verb, _named(resource, group))
            for _, role in resources(BASE / self.overlay)
            if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] == "gitvirt"
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def _path(self, kind: str, namespace: str, document: dict[str, Any]) -> str:
        api, plural = APIS[kind]
        where = "" if kind in OF_THE_CLUSTER else f"/namespaces/{namespace}"
        return f"{api}{where}/{plural}/{document['metadata']['name']}"


def _named(resource: str, group: str) -> str:
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource


@pytest.fixture(params=["cluster-wide", "namespaced"])
def account(cluster: Cluster, namespace: str, request: pytest.FixtureRequest) -> Iterator[Account]:
    """Installed, with the rights in force."""
    if cluster.plane is None:
        pytest.skip("this cluster's accounts are not ours to make")
    own = f"{namespace}-own"
    cluster.hands.make_namespace(own)
    made = Account(cluster, request.param, own, namespace)
    made.install()
    made.log_in()
    try:
        wait_until(made.are_in_force, "the rights are in force")
        yield made
    finally:
        made.remove()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """(verb, resource) of everything that a client asks for."""
    found: set[tuple[str, str]] = set()
    call, stream = ApiClient.call, ApiClient.stream

    def counted(method: Any) -> Any:
        def asking(self: ApiClient, *arguments: Any, **named: Any) -> Any:
            request = next(one for one in arguments if isinstance(one, Request))
            if not request.resource.startswith("/") and self._configuration.auth_settings():
                found.add((request.verb, request.resource))
            return method(self, *arguments, **named)

        return asking

    monkeypatch.setattr(ApiClient, "call", counted(call))
    monkeypatch.setattr(ApiClient, "stream", counted(stream))
    return found


def applied(settings: Settings) -> dict[str, str]:
    """One cycle; object → how it went."""
    view = apply_once(settings, plan_id="", wait_s=0, progress=lambda _: None)
    assert not view["messages"], view["messages"]
    return {change["object"]: f"{change['result']} {change['reason']}".strip() for change in view["applied"]}


def test_the_rights_are_enough_and_are_used(account: Account, asked: set[tuple[str, str]], tmp_path: Path) -> None:
    namespaces = [account.vms] if account.overlay == "namespaced" else []
    options = {"kubeconfig": str(account.kubeconfig), "leaseNamespace": account.own, "namespaces": namespaces}
    home: Home = make_home(
        tmp_path,
        {"web.yaml": vm_text("web"), "rest.yaml": MANIFESTS},
        engine={"kubevirt": options},
        owner="gitvirt",
        defaultNamespace=account.vms,
    )
    first = applied(home.settings)
    assert set(first.values()) == {"applied"}, first
    assert len(first) == 5
    for kind, name in ((VM, "web"), (CLAIM, "web-root"), (DATA_VOLUME, "data"), (NETWORK, "lan"), ("Secret", "login")):
        assert account.hands.get(kind, account.vms, name) is not None

    home.commit({"web.yaml": vm_text("web", cores=2)}, "two cores")
    second = applied(home.settings)
    assert second == {f"{VM}/{account.vms}/web": "applied"}
    home.commit({"web.yaml": None, "rest.yaml": None, "other.yaml": vm_text("other")}, "other things")
    for _ in range(4):
        gone = applied(home.settings)
        assert not [said for said in gone.values() if "may not" in said], gone
    assert account.hands.get(VM, account.vms, "web") is None
    items = ask_here(home.settings, "trash-list", {})["items"]
    assert {item["object"].rpartition("/")[2] for item in items} == {"web-root", "data"}
    ask_here(home.settings, "trash-empty", {"items": [item["item"] for item in items]})
    emptied = account.hands.get(CLAIM, account.vms, "web-root")
    # The controller that lets a claim go which nobody uses is not here.
    assert emptied is None or emptied["metadata"]["deletionTimestamp"]

    assert account.hands.get("Secret", account.vms, "login") is None
    # Server-side apply makes what is not there, and is asked for both.
    asked |= {("create", resource) for verb, resource in asked if verb == "patch"}
    unused = account.rights - asked - UNUSED_HERE
    assert not asked - account.rights - LEASE_RIGHTS - IN_VAIN, asked - account.rights
    assert not {one for one in unused if one[1].partition(".")[0] in _PLURALS}, unused


IN_VAIN = {
    ("list", "kubevirts.kubevirt.io"),
    ("list", "virtualmachineclusterinstancetypes.instancetype.kubevirt.io"),
    ("list", "virtualmachineclusterpreferences.instancetype.kubevirt.io"),
}
"""Of the whole cluster: who may not ask takes changes to be staged, and shows no sizes of the cluster's."""

LEASE_RIGHTS = {(verb, "leases.coordination.k8s.io") for verb in ("get", "create", "update")}
_PLURALS = {
    kind.plural
    for kind in KINDS.values()
    if kind.name not in ("ConfigMap", "Namespace", "StorageClass") and not kind.optional
}


def test_the_rights_are_no_more(account: Account) -> None:
    own, vms = account.own, account.vms
    wide = account.overlay == "cluster-wide"
    for verb, resource in sorted(UNUSED_HERE):
        plural, _, rest = resource.partition(".")
        group, _, subresource = rest.partition("/")
        assert account.may(verb, f"{plural}/{subresource}", vms, group)
    assert account.may("get", "secrets", vms)
    assert account.may("get", "secrets", "default") is wide
    assert account.may("create", "namespaces") is wide
    assert not account.may("delete", "namespaces", name=vms)
    assert account.may("list", "events", vms)
    assert not account.may("watch", "events", vms)
    assert not account.may("deletecollection", "persistentvolumeclaims", vms)
    assert not account.may("create", "pods", vms)
    assert not account.may("create", "pods/exec", own)
    assert not account.may("delete", "virtualmachineinstances", vms, "kubevirt.io")
    assert not account.may("update", "clusterroles", "", "rbac.authorization.k8s.io")
    assert not account.may("impersonate", "users")
    assert not account.may("create", "serviceaccounts/token", own)
    assert account.may("update", "leases", own, "coordination.k8s.io", "gitvirt-gitvirt")
    assert not account.may("update", "leases", own, "coordination.k8s.io", "another")
    assert account.may("patch", "configmaps", own, name="gitvirt-gitvirt-deletions")
    assert account.may("patch", "configmaps", own, name="gitvirt-gitvirt-disks")
    assert account.may("patch", "configmaps", own, name="another") is wide
    assert not account.may("update", "leases", "kube-system", "coordination.k8s.io", "kube-scheduler")


def test_it_leads_with_its_own_lease(account: Account) -> None:
    settings = KubevirtSettings(kubeconfig=str(account.kubeconfig), lease_namespace=account.own)
    first, second = (cluster_leadership(settings, "gitvirt", SystemClock()) for _ in range(2))
    assert first.attempt()
    assert not second.attempt()
    first.release()
    assert second.attempt()
    second.release()
