"""What of a served object stays in memory: what is compared or shown, and no secret."""

from __future__ import annotations

from typing import Any

from nodeexec.kubevirt.keeping import kept, secret_as_kept, version_of

SERVED: dict[str, Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {
        "name": "web",
        "namespace": "prod",
        "uid": "1",
        "resourceVersion": "42",
        "managedFields": [{"manager": "gitvirt"}],
        "selfLink": "/old",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "shop"},
        "finalizers": ["orphan"],
    },
    "spec": {"runStrategy": "Always"},
    "status": {"printableStatus": "Running", "volumeSnapshotStatuses": [1, 2, 3], "conditions": []},
}


def test_what_nobody_looks_at_is_not_kept() -> None:
    found = kept(SERVED, "VirtualMachine")
    assert set(found["metadata"]) == {"name", "namespace", "uid", "resourceVersion", "annotations", "finalizers"}
    assert found["metadata"]["annotations"] == {"team": "shop"}
    assert found["spec"] == SERVED["spec"]
    assert "volumeSnapshotStatuses" not in found["status"]
    assert found["status"]["printableStatus"] == "Running"
    assert version_of(found) == 42


def test_values_of_secrets_are_kept_as_digests_that_can_be_compared() -> None:
    served = {"metadata": {"name": "login"}, "data": {"password": "aHVudGVyMg=="}}
    found = kept(served, "Secret")
    assert "aHVudGVyMg==" not in repr(found)
    assert found["data"] == secret_as_kept({"stringData": {"password": "hunter2"}})["data"]
    assert found["data"] != secret_as_kept({"stringData": {"password": "hunter3"}})["data"]
    assert kept(found, "Secret")["data"]["password"].startswith(("kept:", "digest:"))
