"""The last applied document as an annotation: short as it is, long compressed, and whatever somebody wrote there."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import pytest

from nodeexec.kubevirt.marks import APPLIED, OWNER, TRACKING, applied_marks, read_marks
from reconciler.model.keys import ObjectKey

KEY = ObjectKey("ConfigMap", "prod", "big")


def marked(annotations: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"labels": {OWNER: "lab"}, "annotations": {TRACKING: str(KEY), **annotations}}}


@pytest.mark.parametrize("text", ["short", "a long text " * 50_000, "ä€𝄞" * 20_000])
def test_it_reads_back_and_is_the_same_each_time(text: str) -> None:
    document = {"data": {"text": text}}
    _, annotations = applied_marks(KEY, "lab", "1" * 40, document)
    assert applied_marks(KEY, "lab", "1" * 40, document)[1] == annotations
    assert len(annotations[APPLIED]) < 40_000
    marks = read_marks(marked(annotations), KEY, "cluster")
    assert marks is not None
    assert marks.applied == document


@pytest.mark.parametrize(
    "text",
    [
        "zlib:",
        "zlib:not base64",
        "zlib:" + b64encode(b"not zlib").decode(),
        "zlib:" + b64encode(zlib.compress(b'{"a": 1}')[:-3]).decode(),
        "zlib:" + b64encode(zlib.compress(b" " * (64 << 20), 9)).decode(),
        "zlib:" + b64encode(zlib.compress(b"[]")).decode(),
        "{",
    ],
)
def test_what_somebody_else_wrote_there_is_nothing(text: str) -> None:
    marks = read_marks(marked({APPLIED: text}), KEY, "cluster")
    assert marks is not None
    assert not marks.applied
