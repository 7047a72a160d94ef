"""Scalars are read exactly as kubectl reads them."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from reconciler.manifests.scalars import read_plain_key
from reconciler.manifests.strict_yaml import parse_stream
from tests.unit.manifests.kubectl_readings import KEYS, READINGS, REFUSED

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\nx:\n  v: {}\n"


def read(scalar: str) -> object:
    """The value that a manifest gets from this text; nulls are dropped, so an absent key is None."""
    stream = parse_stream(MANIFEST.format(scalar).encode(), "a.yaml")
    assert not stream.problems
    assert not stream.documents[0].problems
    return stream.documents[0].body["x"].get("v")


@pytest.mark.parametrize(("text", "value"), READINGS)
def test_value_is_what_kubectl_reads(text: str, value: object) -> None:
    got = read(text)
    assert got == value
    assert isinstance(got, bool) == isinstance(value, bool)
    assert isinstance(got, str) == isinstance(value, str)
    if isinstance(value, int):
        assert isinstance(got, int)


def test_table_is_large() -> None:
    assert len(READINGS) >= 80


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubectl_refuses_is_a_problem_at_its_place(text: str) -> None:
    stream = parse_stream(MANIFEST.format(text).encode(), "a.yaml")
    (found,) = stream.documents[0].problems
    assert found.code in ("yaml-number", "yaml-tag")
    assert (found.place.line, found.place.column) == (5, 6)


@pytest.mark.parametrize(("written", "text"), KEYS)
def test_keys_become_text(written: str, text: str) -> None:
    assert read_plain_key(written) == text


@pytest.mark.parametrize("written", ["~", "null", "18446744073709551615", ".inf", "1e300"])
def test_some_keys_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"key|JSON"):
        read_plain_key(written)


def test_table_against_the_kubectl_of_this_machine() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; the table was taken from kubectl 1.32")
    lines = "".join(f"  k{number}: {text}\n" for number, (text, _) in enumerate(READINGS))
    command = [kubectl, "label", "--local", "-f", "-", "a=b", "-o", "json"]
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\nx:\n{lines}"
    done = subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)["x"]
    for number, (text, value) in enumerate(READINGS):
        answer = answers[f"k{number}"]
        # kubectl writes large doubles as digits, which JSON readers that know long integers read exactly.
        assert (float(answer) if isinstance(value, float) else answer) == value, text
