"""What opens an image's source, and that none of it is part of what is remembered or shown."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.resolved import ResolvedVolume
from reconciler.planning.resolve import resolve
from reconciler.planning.resolve_volume import resolve_volume
from reconciler.planning.seed import MissingReferenceError
from reconciler.planning.unresolvable import UnresolvableError
from tests.unit.planning.building import POLICY, declared, digest, documents, observed

ROOT = ObjectKey("DataVolume", "default", "root")
SECRETS = """
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {accessKeyId: me, secretKey: "hunter2\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: headers}
stringData: {one: "X-Token: hunter3\\nX-Other:  hunter4  "}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {a.pem: FIRST, b.pem: SECOND}
"""


def data_volume(url: str, **http: Any) -> str:
    body = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": "root"},
        "spec": {"source": {"http": {"url": url, **http}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
    }
    return yaml.safe_dump(body)


def resolved(text: str, live: LiveVolume | None = None) -> ResolvedVolume:
    found = documents(text + SECRETS)
    return resolve_volume(
        found[ROOT], policy=POLICY, digest=digest, classes={}, documents=found, live=live, owner_vm=None
    )


def headers(volume: ResolvedVolume) -> dict[str, bytes]:
    assert volume.access is not None
    return {name: value.reveal for name, value in volume.access.headers}


def test_a_secret_becomes_basic_authentication_and_outranks_the_url() -> None:
    volume = resolved(data_volume("https://a:b@host/i.qcow2", secretRef="login"))
    assert headers(volume) == {"Authorization": b"Basic " + base64.b64encode(b"me:hunter2")}
    plain = resolved(data_volume("https://a:b%40c@host/i.qcow2"))
    assert headers(plain) == {"Authorization": b"Basic " + base64.b64encode(b"a:b@c")}


def test_headers_and_authorities_are_joined() -> None:
    volume = resolved(
        data_volume(
            "https://host/i", extraHeaders=["X-Plain: hunter1"], secretExtraHeaders=["headers"], certConfigMap="ca"
        )
    )
    assert headers(volume) == {"X-Plain": b"hunter1", "X-Token": b"hunter3", "X-Other": b"hunter4"}
    assert volume.access is not None
    assert volume.access.authorities == "FIRST\nSECOND"


def test_nothing_of_it_is_remembered_or_shown() -> None:
    volume = resolved(
        data_volume(
            "https://me:hunter1@host/i?sig=hunter5", extraHeaders=["X: hunter6"], secretExtraHeaders=["headers"]
        )
    )
    assert volume.access is not None
    assert volume.access.url.reveal == b"https://host/i?sig=hunter5"
    for shown in (repr(volume), str(volume.source), repr(volume.applied)):
        assert "hunter" not in shown
    assert volume.source.url.startswith("https://host/i?digest:")
    other = resolved(data_volume("https://me:hunter1@host/i?sig=hunter7"))
    assert other.source != volume.source


def test_the_applied_document_gives_the_same_source_and_no_address() -> None:
    volume = resolved(data_volume("https://me:hunter1@host/i?sig=hunter5"))
    applied = Document(key=ROOT, api_version="v1", body=volume.applied, digest="", file="(last applied)")
    again = resolve_volume(applied, policy=POLICY, digest=digest, classes={}, documents={}, live=None, owner_vm=None)
    assert (again.source, again.access) == (volume.source, None)


@pytest.mark.parametrize("line", ["no header", "Host: evil", "X: a\x07b", ": x", "Content-Length: 1"])
def test_what_is_no_header_is_refused_without_quoting_it(line: str) -> None:
    with pytest.raises(UnresolvableError) as caught:
        resolved(data_volume("https://host/i", extraHeaders=[line]))
    assert caught.value.problem.code == "source-header-invalid"
    assert "evil" not in str(caught.value)


def test_a_volume_that_has_its_content_needs_no_secret_any_more() -> None:
    text = data_volume("https://host/i", secretRef="gone")
    with pytest.raises(MissingReferenceError):
        resolved(text)
    volume = resolved(data_volume("https://host/i"))
    live = LiveVolume(
        key=ROOT, fingerprint="", marks=None, pool="default", volume="v", format="qcow2", size_bytes=1 << 30,
        source=volume.source,
    )  # fmt: skip
    assert resolved(text, live).access is None


def test_a_source_that_lacks_its_secret_is_blocked_by_it() -> None:
    desired = resolve(
        declared(data_volume("https://host/i", secretRef="gone")), observed(), policy=POLICY, digest=digest
    )
    assert desired.blocked[ROOT][1] == (ObjectKey("Secret", "default", "gone"),)
