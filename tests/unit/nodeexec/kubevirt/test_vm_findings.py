"""Health of a VirtualMachine: what is well, what is not, and with which reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodeexec.kubevirt.findings import Finding, Subject
from nodeexec.kubevirt.vm_findings import not_begun, vm_finding

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POD = Subject("Pod", "prod", "", "p-1")


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def said(name: str, status: str = "True", reason: str = "", message: str = "", since_s: float = 10) -> dict[str, Any]:
    return {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(since_s)}


def vm(word: str, *conditions: dict[str, Any], strategy: str = "Always", **template: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "prod", "generation": 9},
        "spec": {"runStrategy": strategy, "template": {"spec": template}},
        "status": {"printableStatus": word, "conditions": list(conditions), "observedGeneration": 1},
    }


def guest(phase: str, *conditions: dict[str, Any], since_s: float = 10, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "prod", "creationTimestamp": ago(since_s)},
        "status": {"phase": phase, "conditions": list(conditions), "activePods": {"p-1": "node-1"}, **status},
    }


def untouched(since_s: float, strategy: str = "Always") -> dict[str, Any]:
    """A VM that no controller has looked at."""
    return {"metadata": {"creationTimestamp": ago(since_s)}, "spec": {"runStrategy": strategy}}


def found(
    document: dict[str, Any], instance: dict[str, Any] | None = None, **volumes: Finding
) -> tuple[str, str, bool] | None:
    made = vm_finding(document, instance, volumes, NOW)
    return None if made is None else (made.word, made.text, made.certain)


@pytest.mark.parametrize(
    ("document", "instance"),
    [
        (vm("Stopped", said("Ready", "False", "VMINotExists", "VMI does not exist"), strategy="Halted"), None),
        (vm("Stopped", said("Failure", message="old"), strategy="Halted"), guest("Failed")),
        (vm("Stopped", strategy="Manual"), None),
        (vm("Stopped", strategy="Once"), guest("Succeeded")),
        (vm("Stopped", strategy="RerunOnFailure"), guest("Succeeded")),
        (vm("Running", said("Ready")), guest("Running", said("Ready"), said("LiveMigratable", "False", "a", "b"))),
        (vm("Paused"), guest("Running", said("Paused", reason="PausedByUser", message="VMI was paused by user"))),
        (vm("Starting"), guest("Scheduling")),
        (vm("Provisioning"), None),
        (vm("Running", said("RestartRequired")), guest("Running", said("Ready", "False", since_s=60))),
        (vm("Running"), guest("Running", migrationState={"failed": True, "endTimestamp": ago(7200)})),
        (vm("Running"), guest("Running", migrationState={"failed": True, "abortRequested": True, "endTimestamp": ago(9)})),
        ({**vm("Terminating", said("Failure")), "metadata": {"deletionTimestamp": ago(1)}}, None),
        ({"metadata": {}, "spec": {}}, None),
        (untouched(60), None),
        (untouched(9000, "Halted"), None),
    ],
)  # fmt: skip
def test_well(document: dict[str, Any], instance: dict[str, Any] | None) -> None:
    assert found(document, instance) is None


@pytest.mark.parametrize(
    ("document", "instance", "expected"),
    [
        (
            vm("ErrorUnschedulable"), guest("Scheduling", said("PodScheduled", "False", "Unschedulable", "0/3 nodes are available.")),
            ("ErrorUnschedulable", "0/3 nodes are available"),
        ),
        (
            vm("ErrImagePull"), guest("Scheduling", said("Synchronized", "False", "ErrImagePull", "manifest unknown")),
            ("ErrImagePull", "manifest unknown"),
        ),
        (
            vm("ErrorPvcNotFound"), guest("Pending", said("Synchronized", "False", "FailedPvcNotFound", "PVC prod/a does not exist")),
            ("ErrorPvcNotFound", "PVC prod/a does not exist"),
        ),
        (vm("CrashLoopBackOff", said("Ready", "False", message="it ended")), None, ("CrashLoopBackOff", "it ended")),
        (vm("Starting", said("Failure", message="admission denied it")), None, ("Failure", "admission denied it")),
        (vm("Stopped", said("ManualRecoveryRequired", message="move failed")), None, ("ManualRecoveryRequired", "move failed")),
        (vm("Unknown"), guest("Unknown", nodeName="node-1"), ("Unknown", "the node node-1 does not answer for it")),
        (vm("Stopped", strategy="Once"), guest("Failed", reason="NodeLost"), ("Failed", "NodeLost")),
        (
            vm("Paused"), guest("Running", said("Paused", reason="PausedIOError", message="VMI was paused, I/O error")),
            ("PausedIOError", "VMI was paused, I/O error"),
        ),
        (
            vm("Starting"), guest("Pending", said("Synchronized", "False", "FailedCreate", "exceeded quota")),
            ("FailedCreate", "exceeded quota"),
        ),
        (
            vm("Running"), guest("Running", migrationState={"failed": True, "endTimestamp": ago(60), "failureReason": "no route"}),
            ("MigrationFailed", "no route"),
        ),
        (
            vm("Running"), guest("Running", said("HotVCPUChange"), migrationState={"failed": True, "endTimestamp": ago(9000)}),
            ("MigrationFailed", "the last migration failed"),
        ),
        (vm("Running"), guest("Running", said("HotMemoryChange", "False", "a", "no virtio-mem")), ("HotMemoryChange", "no virtio-mem")),
        (vm("Running"), guest("Running", said("AgentVersionNotSupported", message="too old")), ("AgentVersionNotSupported", "too old")),
        (
            vm("Running"), guest("Running", said("AccessCredentialsSynchronized", "False", "a", "no such user")),
            ("AccessCredentialsSynchronized", "no such user"),
        ),
        (
            vm("Running", readinessProbe={"guestAgentPing": {}}), guest("Running", since_s=900),
            ("AgentNotConnected", "readinessProbe needs the guest agent, which does not answer"),
        ),
        (vm("Running"), guest("Running", said("Ready", "False", "a", "containers not ready", since_s=900)), ("NotReady", "containers not ready")),
        (untouched(400), None, ("Pending", "KubeVirt has not taken it up, for 5 min and more: does virt-controller run?")),
        (vm("Starting"), guest("Scheduling", since_s=1000), ("Starting", "its instance does not come up (15 min and more)")),
    ],
)  # fmt: skip
def test_not_well(document: dict[str, Any], instance: dict[str, Any] | None, expected: tuple[str, str]) -> None:
    assert found(document, instance) == (*expected, True)


def test_an_agent_that_nothing_needs_is_not_missed_and_one_that_just_starts_has_time() -> None:
    keys = [{"sshPublicKey": {"propagationMethod": {"qemuGuestAgent": {"users": ["a"]}}}}]
    assert found(vm("Running"), guest("Running", since_s=9000)) is None
    assert found(vm("Running", accessCredentials=keys), guest("Running", since_s=100)) is None
    assert found(vm("Running", accessCredentials=keys), guest("Running", said("AgentConnected", since_s=900))) is None
    missing = found(vm("Running", accessCredentials=keys), guest("Running", since_s=900))
    assert missing is not None
    assert missing[0] == "AgentNotConnected"


def test_provisioning_is_stuck_by_its_volumes_or_by_time() -> None:
    bad = Finding(word="Error", text="404", about=(Subject("DataVolume", "prod", "root"),))
    slow = Finding(word="Pending", certain=False)
    assert found(vm("Provisioning"), None, root=bad, data=slow) == ("Provisioning", "root: Error: 404", True)
    assert found(vm("WaitingForVolumeBinding"), None, data=slow) == ("WaitingForVolumeBinding", "data: Pending", False)
    assert found(vm("DataVolumeError"), None, root=bad) == ("DataVolumeError", "root: Error: 404", True)
    assert found(vm("Starting"), guest("Scheduling", since_s=120)) == ("Starting", "", False)
    made = vm_finding(vm("Provisioning"), guest("Pending"), {"root": bad}, NOW)
    assert made is not None
    assert made.about[0] == Subject("DataVolume", "prod", "root")
    assert POD in made.about


@pytest.mark.parametrize(
    ("document", "instance", "expected"),
    [
        (untouched(60), None, "KubeVirt has not taken it up yet"),
        (untouched(60, "Halted"), None, ""),
        (vm("Stopped"), None, "KubeVirt is to start it"),
        (vm("Stopped"), guest("Failed"), ""),
        (vm("Stopped", strategy="Halted"), None, ""),
        (vm("Stopped", strategy="Manual"), None, ""),
        (vm("Running"), guest("Running"), ""),
    ],
)
def test_not_begun(document: dict[str, Any], instance: dict[str, Any] | None, expected: str) -> None:
    assert not_begun(document, instance) == expected
