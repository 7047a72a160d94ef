"""Health of DataVolumes and claims: failed, stuck, slow, waiting; and events as they may be told."""

from __future__ import annotations

from typing import Any

import pytest

from nodeexec.kubevirt.events import newest_warning
from nodeexec.kubevirt.findings import Finding, Subject, told
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from nodeexec.kubevirt.volume_findings import claim_finding, not_done, volume_finding
from reconciler.model.keys import ObjectKey


def said(name: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": name, "status": status, "reason": reason, "message": message}


def data_volume(phase: str, *conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {"name": "root", "namespace": "prod"}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": list(conditions), **status}}


def claim(phase: str) -> dict[str, Any]:
    annotations = {"cdi.kubevirt.io/storage.import.importPodName": "importer-root"}
    return {
        "metadata": {"name": "root", "namespace": "prod", "uid": "u1", "annotations": annotations},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("document", "still_s", "used", "expected"),
    [
        (data_volume("Succeeded", said("Running", "False", "Error", "old")), 0, True, None),
        (data_volume(""), 60, True, None),
        (data_volume(""), 9000, True, ("Pending", "CDI has not taken it up, for 15 min and more: does cdi-deployment run?", True)),
        (data_volume("ImportInProgress", progress="45%"), 60, True, None),
        (data_volume("ImportInProgress", said("Running", "True", "Pod is running"), restartCount=2), 60, True, None),
        (data_volume("WaitForFirstConsumer"), 9000, False, None),
        (data_volume("PendingPopulation"), 9000, False, None),
        (data_volume("UploadReady"), 9000, True, None),
        (data_volume("Failed", said("Running", "False", "x", "no space")), 0, True, ("Failed", "no space", True)),
        (data_volume("ImportInProgress", said("Running", "False", "Error", "got 404")), 0, True, ("Error", "got 404", True)),
        (data_volume("ImportScheduled", said("Running", "False", "ImagePullBackOff", "a")), 0, True, ("ImagePullBackOff", "a", True)),
        (data_volume("ImportScheduled", said("Running", "False", "ContainerCreating", "")), 0, True, None),
        (data_volume("Pending", said("Bound", "False", "ErrExceededQuota", "quota")), 0, True, ("ErrExceededQuota", "quota", True)),
        (data_volume("Pending", said("Bound", "False", "Pending", "a")), 0, True, None),
        (
            data_volume("ImportInProgress", restartCount=3), 0, True,
            ("Restarting", "ImportInProgress was begun again 3 times and more", True),
        ),
        (data_volume("ImportInProgress"), 300, True, ("ImportInProgress", "", False)),
        (data_volume("ImportInProgress"), 900, True, ("Stuck", "ImportInProgress does not move (15 min and more)", True)),
        (data_volume("WaitForFirstConsumer"), 900, True, ("Stuck", "WaitForFirstConsumer does not move (15 min and more)", True)),
    ],
)  # fmt: skip
def test_data_volumes(document: dict[str, Any], still_s: float, used: bool, expected: Any) -> None:
    found = volume_finding(document, claim("Pending"), still_s=still_s, has_consumer=used)
    assert (found and (found.word, found.text, found.certain)) == expected
    if found is not None:
        assert found.about == (
            Subject("DataVolume", "prod", "root"),
            Subject("PersistentVolumeClaim", "prod", "root"),
            Subject("PersistentVolumeClaim", "prod", "prime-u1"),
            Subject("Pod", "prod", "importer-root"),
        )


@pytest.mark.parametrize(
    ("phase", "still_s", "used", "expected"),
    [
        ("Bound", 9000, True, None),
        ("Pending", 10, True, None),
        ("Pending", 9000, False, ("Pending", False)),
        ("Pending", 300, True, ("Pending", False)),
        ("Pending", 900, True, ("Stuck", True)),
        ("Lost", 0, False, ("Lost", True)),
    ],
)
def test_claims(phase: str, still_s: float, used: bool, expected: Any) -> None:
    found = claim_finding(claim(phase), still_s=still_s, has_consumer=used)
    assert (found and (found.word, found.certain)) == expected


def test_a_finding_is_told_once_with_the_warning() -> None:
    made = Finding(word="Error", text="got 404")
    assert made.told("") == "Error: got 404"
    assert made.told("Error: Unable to connect: got 404") == "Error: Error: Unable to connect: got 404"
    assert made.told("FailedMount: no device") == "Error: got 404; FailedMount: no device"
    assert Finding(word="Starting", certain=False).told("FailedMount: a") == "Starting: FailedMount: a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Unable to read https://ann:hunter2@img.example.org/a.qcow2?X-Sig=abc#x: 403.",
         "Unable to read https://img.example.org/a.qcow2"),
        ("get \"http://x/y?token=1\": no", "get \"http://x/y\": no"),
        ("login failed: password=hunter2, user=ann", "login failed: password=(secret), user=ann"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: (secret)"),
        ("sent Bearer abc.def.ghi to it", "sent Bearer (secret) to it"),
        ('secret "db" not found, token expired', 'secret "db" not found, token expired'),
        ("line\nbreak\x1b[31m", "line break\ufffd[31m"),
        ("x" * 1000, "x" * 299 + "…"),
        (None, ""),
    ],
)  # fmt: skip
def test_nothing_secret_or_unfit_is_told(text: str | None, shown: str) -> None:
    made = told(text)
    assert made.startswith(shown)
    assert not any(secret in made for secret in ("hunter2", "X-Sig", "token=1", "abc.def"))


def test_the_newest_warning_that_says_something() -> None:
    def event(at: str, reason: str, kind: str = "Warning", **more: Any) -> dict[str, Any]:
        return {"type": kind, "reason": reason, "lastTimestamp": at, "message": f"{reason} it", **more}

    old, new = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"
    assert newest_warning([]) is None
    assert newest_warning([event(new, "Pulled", "Normal")]) is None
    items = [event(old, "FailedScheduling"), event(new, "Pulled", "Normal"), event(new, "BackOff")]
    found = newest_warning(items)
    assert found is not None
    assert found.text == "FailedScheduling: FailedScheduling it"
    modern = {
        "type": "Warning", "reason": "FailedMount", "note": "no device", "eventTime": old,
        "series": {"lastObservedTime": "2026-03-01T12:00:00.000000Z"},
    }  # fmt: skip
    found = newest_warning([*items, modern])
    assert found is not None
    assert found.text == "FailedMount: no device"


@pytest.mark.parametrize(
    ("kind", "document", "used", "expected"),
    [
        (DATA_VOLUME, data_volume(""), False, "CDI has not taken it up yet"),
        (DATA_VOLUME, data_volume("Pending", said("Bound", "False", "Pending", "PVC a Pending")), False, "Pending: PVC a Pending"),
        (DATA_VOLUME, data_volume("WaitForFirstConsumer"), False, ""),
        (DATA_VOLUME, data_volume("Succeeded"), True, ""),
        (CLAIM, claim("Pending"), False, ""),
        (CLAIM, claim("Pending"), True, "not bound yet, and a guest waits for it"),
        (CLAIM, claim("Bound"), True, ""),
    ],
)  # fmt: skip
def test_what_is_not_done_says_what_it_lacks(kind: str, document: dict[str, Any], used: bool, expected: str) -> None:
    assert not_done(ObjectKey(kind, "prod", "root"), document, has_consumer=used) == expected


def test_one_that_waits_for_an_upload_says_how() -> None:
    text = not_done(ObjectKey(DATA_VOLUME, "prod", "root"), data_volume("UploadReady"), has_consumer=False)
    assert "`virtctl image-upload dv root -n prod --no-create --image-path FILE`" in text
