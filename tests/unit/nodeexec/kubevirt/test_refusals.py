"""A webhook's words, at the line of the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from nodeexec.kubevirt.errors import Request, api_error
from nodeexec.kubevirt.refusals import field_path, is_refusal, refusal
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
    ],
)
def test_the_place_of_the_field_is_told(error: Any, place: str) -> None:
    (document,) = load_blob(TEXT, "web.yaml").documents
    assert is_refusal(error)
    assert place in refusal(error, document).reason


def test_rights_that_are_missing_are_no_refusal_of_the_manifest() -> None:
    assert not is_refusal(answer(403, "user x cannot patch"))
    assert is_refusal(answer(403, 'admission webhook "x" denied the request: no'))
    assert field_path("a.b[2].c") == ("a", "b", 2, "c")
