"""A webhook's words, at the line of the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from nodeexec.kubevirt.errors import Request, api_error
from nodeexec.kubevirt.refusals import field_path, refusal
from reconciler.manifests.load import load_blob

TEXT = b"""apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  runStrategy: Halted
  template:
    spec:
      domain:
        memory: {guest: 64Mi}
        devices:
          disks:
          - {name: root, disk: {bus: virtio}}
      volumes:
      - {name: root, persistentVolumeClaim: {claimName: root}}
"""
REQUEST = Request(verb="patch", resource="virtualmachines.kubevirt.io", object="default/web")
DISK = "spec.template.spec.domain.devices.disks[0].disk.bus"


def answer(status: int, message: str, *fields: str) -> Any:
    causes = [{"field": field, "message": "is not liked", "reason": "FieldValueInvalid"} for field in fields]
    return api_error(REQUEST, status, {"message": message, "details": {"causes": causes}}, None)


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (answer(422, "invalid", DISK), "web.yaml:12:"),
        (answer(422, f"admission webhook said: {DISK} is not liked"), "web.yaml:12:"),
        (answer(400, "it is all wrong"), "web.yaml:1:"),
        (
            answer(500, f"failed to create typed patch object (/web; v1): .{DISK}: field not declared in schema"),
            "web.yaml:12:",
        ),
        (answer(422, "invalid: Too long: may not be more than 262144 bytes", "metadata.annotations"), "web.yaml:1:"),
        (answer(413, "Request entity too large: limit is 3145728"), "web.yaml:1:"),
    ],
)
def test_the_place_of_the_field_is_told(error: Any, place: str) -> None:
    (document,) = load_blob(TEXT, "web.yaml").documents
    assert error.refuses_document
    assert place in refusal(error, document).reason


def test_what_is_too_large_is_told_with_the_limits() -> None:
    (document,) = load_blob(TEXT, "web.yaml").documents
    said = refusal(answer(413, "Request entity too large: limit is 3145728"), document).reason
    assert "256 KiB of annotations" in said


def test_rights_that_are_missing_are_no_refusal_of_the_manifest() -> None:
    assert not answer(403, "user x cannot patch").refuses_document
    assert answer(403, 'admission webhook "x" denied the request: no').refuses_document
    assert field_path("a.b[2].c") == ("a", "b", 2, "c")
