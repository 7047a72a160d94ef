"""The hands of others on a cluster: administrators, KubeVirt's and CDI's controllers, kubectl."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nodeexec.kubevirt.client import APPLY, MERGE, ApiClient
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.errors import ApiError, Request
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, KINDS, NETWORK, VM
from nodeexec.kubevirt.settings import KubevirtSettings
from tests.cluster.crds import definitions

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CLEARED = (VM, INSTANCE, DATA_VOLUME, CLAIM, NETWORK, "Secret", "ConfigMap")


class Hands:
    """Plain requests, as an administrator of the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        settings = KubevirtSettings(kubeconfig=str(kubeconfig))
        self.client = ApiClient(partial(connection_of, settings))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> Any:
        """One request; raises ApiError for a refusal."""
        request = Request(verb=method, resource=path)
        return self.client.call(method, path, request, body=body, query=query, content_type=kind)

    def install_definitions(self) -> None:
        """Kinds of KubeVirt, CDI and Multus, served."""
        self.serve(definitions())

    def serve(self, made: Collection[Mapping[str, Any]]) -> None:
        """Custom resource definitions, applied and served."""
        for one in made:
            self.call(
                "PATCH",
                f"{_DEFINITIONS}/{one['metadata']['name']}",
                one,
                {"fieldManager": "tests", "force": "true"},
                APPLY,
            )
        for one in made:
            version = next(v for v in one["spec"]["versions"] if v["served"])["name"]
            path = f"/apis/{one['spec']['group']}/{version}/{one['spec']['names']['plural']}"
            wait_until(lambda path=path: self._is_served(path), f"{path} is served")

    def remove_definition(self, plural_and_group: str, path: str) -> None:
        """A kind that is served no more, with all its objects."""
        self.call("DELETE", f"{_DEFINITIONS}/{plural_and_group}")
        wait_until(lambda: not self._is_served(path), f"{path} is not served")

    def _is_served(self, path: str) -> bool:
        try:
            self.call("GET", path)
        except ApiError:
            return False
        return True

    def make_namespace(self, name: str) -> None:
        """A namespace."""
        self.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def clear(self, namespace: str) -> None:
        """Everything of the understood kinds in a namespace goes; finalizers do not keep it."""
        for kind in _CLEARED:
            for document in self.list(kind, namespace):
                name = document["metadata"]["name"]
                if document["metadata"].get("finalizers"):
                    self.patch(kind, namespace, name, {"metadata": {"finalizers": None}})
            path = KINDS[kind].path(namespace)
            self.client.call("DELETE", path, Request(verb="deletecollection", resource=path), timeout_s=600.0)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when it is not there."""
        try:
            return dict(self.call("GET", KINDS[kind].path(namespace, name)))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def list(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        """All objects of a kind in a namespace."""
        return list(self.call("GET", KINDS[kind].path(namespace))["items"])

    def create(self, document: Mapping[str, Any], *, manager: str = "kubectl-create") -> dict[str, Any]:
        """Make an object as written."""
        kind, metadata = KINDS[document["kind"]], document["metadata"]
        path = kind.path(metadata.get("namespace", ""))
        return dict(self.call("POST", path, dict(document), {"fieldManager": manager}))

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Mapping[str, Any],
        *,
        manager: str = "kubectl-edit",
        status: bool = False,
    ) -> dict[str, Any]:
        """A merge patch by somebody."""
        path = KINDS[kind].path(namespace, name) + ("/status" if status else "")
        return dict(self.call("PATCH", path, dict(change), {"fieldManager": manager}, MERGE))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, if it is there."""
        try:
            self.call("DELETE", KINDS[kind].path(namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise

    def set_status(self, kind: str, namespace: str, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """What a controller would report."""
        try:
            return self.patch(kind, namespace, name, {"status": dict(status)}, manager="controller", status=True)
        except ApiError as error:
            if error.status != 404:
                raise
            return self.patch(kind, namespace, name, {"status": dict(status)}, manager="controller")

    def run_instance(
        self, namespace: str, name: str, phase: str = "Running", *, finalizers: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """What virt-controller does of a VM that should run: an instance of its template."""
        vm = self.call("GET", KINDS[VM].path(namespace, name))
        owner = {
            "apiVersion": "kubevirt.io/v1",
            "kind": VM,
            "name": name,
            "uid": vm["metadata"]["uid"],
            "controller": True,
        }
        self.create(
            {
                "apiVersion": "kubevirt.io/v1",
                "kind": INSTANCE,
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "ownerReferences": [owner],
                    "finalizers": list(finalizers),
                },
                "spec": vm["spec"]["template"]["spec"],
            }
        )
        made = self.set_status(INSTANCE, namespace, name, {"phase": phase})
        self.set_status(VM, namespace, name, {"printableStatus": "Running", "ready": True, "created": True})
        return made


def wait_until(true: Callable[[], Any], what: str, limit_s: float = 90.0) -> Any:
    """The first true answer.

    Raises:
        AssertionError: it did not come true in time.
    """
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        answer = true()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"did not come true within {limit_s} s: {what}")
