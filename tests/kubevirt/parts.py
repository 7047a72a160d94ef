"""KubeVirt's own control plane on an API server of ours: virt-api and virt-controller from ``KUBEVIRT_ASSETS``, and what virt-operator installs.

Nothing of KubeVirt is here: its definitions, webhooks and API services are asked of virt-operator. What it would start as pods (virt-api,
virt-controller) is started as processes, so webhooks and API services are led to loopback.

*Source*: KubeVirt's components documentation; the flags of virt-api, virt-controller and virt-operator (``--dump-install-strategy``).
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nodeexec.kubevirt.client import APPLY, MERGE
from tests.cluster import servers
from tests.cluster.crds import definitions, minimal
from tests.cluster.hands import Hands, wait_until
from tests.cluster.servers import ControlPlane
from tests.ports import free_port

VARIABLE = "KUBEVIRT_ASSETS"
PROGRAMS = ("virt-api", "virt-controller", "virt-operator")
NAMESPACE = "kubevirt"
API, CONTROLLER = "kubevirt-apiserver", "kubevirt-controller"
_ADMISSION = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_CDI_KINDS = (
    ("CDI", "cdis", True),
    ("CDIConfig", "cdiconfigs", True),
    ("DataSource", "datasources", False),
    ("StorageProfile", "storageprofiles", True),
)
"""(kind, plural, of the whole cluster): what virt-controller watches beside DataVolumes where CDI is installed."""

_CONFIGURATION = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "KubeVirt",
    "metadata": {"name": "kubevirt", "namespace": NAMESPACE},
    "spec": {
        "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]},
        "configuration": {
            "developerConfiguration": {"useEmulation": True, "featureGates": ["Snapshot"]},
            "vmRolloutStrategy": "LiveUpdate",
        },
    },
}

Installed = tuple[Mapping[str, Any], ...]
"""What virt-operator would install."""


def assets() -> Path:
    """The directory with KubeVirt's programs."""
    return Path(os.environ.get(VARIABLE, ""))


def missing() -> str:
    """Why KubeVirt cannot be started here, and what to do; empty when it can."""
    if not os.environ.get(VARIABLE):
        return f"{VARIABLE} names no directory with KubeVirt's {', '.join(PROGRAMS)} (docs/kubevirt.md, What it was run with)"
    absent = [name for name in PROGRAMS if not os.access(assets() / name, os.X_OK)]
    if absent:
        return f"{' and '.join(absent)} not found in {assets()} ({VARIABLE})"
    if not ControlPlane.has_garbage_collector():
        return f"kube-controller-manager not found in {servers.assets()} (KUBEBUILDER_ASSETS)"
    return servers.missing()


class Parts:
    """Starts them on a control plane, which ends them with itself."""

    def __init__(self, plane: ControlPlane, hands: Hands, directory: Path) -> None:
        self._plane, self._hands, self._directory = plane, hands, directory
        self._authority = plane.authority.certificate.read_text()
        self._port = free_port()

    def start(self) -> None:
        """Install and start KubeVirt, until its API serves and its controller leads.

        Raises:
            RuntimeError: a part ended; says what it said last.
        """
        self._hands.make_namespace(NAMESPACE)
        installed = self._asked_of_virt_operator()
        own = {one["metadata"]["name"] for one in installed if one["kind"] == "CustomResourceDefinition"}
        others = [
            minimal("cdi.kubevirt.io", "v1beta1", kind, plural, status=False, cluster=cluster)
            for kind, plural, cluster in _CDI_KINDS
        ]
        self._hands.serve([one for one in installed if one["kind"] == "CustomResourceDefinition"])
        self._hands.serve([one for one in (*definitions(), *others) if one["metadata"]["name"] not in own])
        self._configure(installed)
        self._run_virt_api()
        self._run_virt_controller()
        for one in installed:
            if one["kind"] in _ADMISSION and (led := self._led_to_loopback(one)) is not None:
                self._apply(f"/apis/admissionregistration.k8s.io/v1/{one['kind'].lower()}s", led)
        self._serve_actions(installed)

    def kubeconfig(self, account: str) -> Path:
        """Of one of KubeVirt's service accounts; it may do everything."""
        user = f"system:serviceaccount:{NAMESPACE}:{account}"
        return self._plane.kubeconfig_of(user, "system:masters", f"system:serviceaccounts:{NAMESPACE}")

    def _asked_of_virt_operator(self) -> Installed:
        """What it writes down as its strategy for this version."""
        meant = {"namespace": NAMESPACE, "registry": "example.org", "kubeVirtVersion": "tests"}
        done = subprocess.run(
            [str(assets() / "virt-operator"), "--dump-install-strategy", "--kubeconfig", str(self._plane.kubeconfig)],
            env={**os.environ, "VIRT_OPERATOR_IMAGE": "virt-operator", "TARGET_DEPLOYMENT_CONFIG": json.dumps(meant)},
            cwd=self._directory,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"virt-operator told no strategy: {done.stderr.decode(errors='replace')[-2000:]}")
        chosen = {"labelSelector": "kubevirt.io/install-strategy"}
        (told,) = self._hands.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps", query=chosen)["items"]
        text = gzip.decompress(base64.b64decode(told["data"]["manifests"]))
        return tuple(one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)

    def _configure(self, installed: Installed) -> None:
        """The authority in the ConfigMaps that it is looked for in, and the KubeVirt object."""
        for one in installed:
            if one["kind"] == "ConfigMap":
                self._apply(
                    f"/api/v1/namespaces/{NAMESPACE}/configmaps", {**one, "data": {"ca-bundle": self._authority}}
                )
        path = f"/apis/kubevirt.io/v1/namespaces/{NAMESPACE}/kubevirts"
        self._apply(path, _CONFIGURATION)
        deployed = {"phase": "Deployed", "defaultArchitecture": "amd64"}
        self._hands.call("PATCH", f"{path}/kubevirt/status", {"status": deployed}, kind=MERGE)

    def _run_virt_api(self) -> None:
        certificate, key = self._plane.authority.server("virt-api", f"virt-api.{NAMESPACE}.svc")
        client, client_key = self._plane.authority.client("kubevirt.io:system:client:virt-handler")
        self._run(
            "virt-api", self._port, API,
            "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
            "--handler-cert-file", str(client), "--handler-key-file", str(client_key),
        )  # fmt: skip

    def _run_virt_controller(self) -> None:
        certificate, key = self._plane.authority.server("virt-controller")
        self._run(
            "virt-controller", free_port(), CONTROLLER, "--launcher-image", "virt-launcher",
            "--prom-cert-file", str(certificate), "--prom-key-file", str(key),
        )  # fmt: skip

    def _run(self, name: str, port: int, account: str, *arguments: str) -> None:
        process = self._plane.run(
            assets() / name, "--listen", "127.0.0.1", "--port", str(port), "--kubeconfig", str(self.kubeconfig(account)),
            *arguments,
        )  # fmt: skip

        def listens() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended: {self._plane.said(name)}")
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, f"{name} listens", 60.0)

    def _led_to_loopback(self, configuration: Mapping[str, Any]) -> dict[str, Any] | None:
        """A configuration of webhooks that virt-api answers, where it listens; None for those of others."""
        hooks = [
            {**hook, "clientConfig": {"url": self._url(hook["clientConfig"]["service"]), "caBundle": self._trusted}}
            for hook in configuration["webhooks"]
            if hook["clientConfig"]["service"]["name"] == "virt-api"
        ]
        return {**configuration, "webhooks": hooks} if hooks else None

    def _url(self, service: Mapping[str, Any]) -> str:
        return f"https://127.0.0.1:{self._port}{service['path']}"

    @property
    def _trusted(self) -> str:
        return base64.b64encode(self._authority.encode()).decode()

    def _serve_actions(self, installed: Installed) -> None:
        """KubeVirt's API of actions (start, stop, …) behind the API server."""
        port = {"name": "https", "port": self._port}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "virt-api"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [port]},
        }
        self._apply(f"/api/v1/namespaces/{NAMESPACE}/services", service)
        for one in _services(installed):
            to = {**one["spec"]["service"], "port": self._port}
            self._apply(
                "/apis/apiregistration.k8s.io/v1/apiservices",
                {**one, "spec": {**one["spec"], "service": to, "caBundle": self._trusted}},
            )

        def is_served(name: str) -> bool:
            found = self._hands.call("GET", f"/apis/apiregistration.k8s.io/v1/apiservices/{name}")
            said = (found.get("status") or {}).get("conditions") or ()
            return any((one["type"], one["status"]) == ("Available", "True") for one in said)

        for one in _services(installed):
            name = one["metadata"]["name"]
            wait_until(lambda name=name: is_served(name), f"{name} is available", 60.0)

    def _apply(self, collection: str, document: Mapping[str, Any]) -> None:
        made = {name: value for name, value in document.items() if name != "status"}
        made["metadata"] = {name: value for name, value in document["metadata"].items() if name != "creationTimestamp"}
        path = f"{collection}/{document['metadata']['name']}"
        self._hands.call("PATCH", path, made, {"fieldManager": "virt-operator", "force": "true"}, APPLY)


def _services(installed: Installed) -> Iterator[Mapping[str, Any]]:
    return (one for one in installed if one["kind"] == "APIService")
