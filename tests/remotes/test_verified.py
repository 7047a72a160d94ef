"""Signatures and rewritten history over real servers: what arrives by the wire is judged as what lies beside us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.follow import Follow, FollowKind
from reconciler.model.revision import SourceState
from reconciler.model.source_spec import VerifyMode, VerifySpec
from tests.unit.source.signing import Keys, throw_away_keys


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with throw_away_keys() as made:
        yield made


@pytest.fixture
def verify(keys: Keys, tmp_path: Path) -> VerifySpec:
    (tmp_path / "signers").write_bytes(keys.allowed("ada"))
    (tmp_path / "keyring").write_bytes(keys.keyring("ada"))
    return VerifySpec(mode=VerifyMode.ALL, gpg_keyring=tmp_path / "keyring", ssh_allowed_signers=tmp_path / "signers")


def test_commits_and_a_rewrite_over_https(upstream, web, make_source, keys, verify):
    source = make_source(web.url("open", upstream.served), verify=verify)
    assert source.fetch().state == SourceState.UNVERIFIED
    assert source.accepted() is None
    first = upstream.commit({"vms/db.yaml": "a: 1\n"}, **keys.ssh_signing("ada"))
    upstream.git("push", "-q", "origin", "main")
    assert source.fetch().state == SourceState.READY
    second = upstream.commit({"vms/db.yaml": "a: 2\n"}, **keys.gpg_signing("ada"))
    upstream.git("push", "-q", "origin", "main")
    assert source.fetch().state == SourceState.READY
    unsigned = upstream.commit({"vms/db.yaml": "a: 3\n"})
    upstream.git("push", "-q", "origin", "main")
    refused = source.fetch()
    assert refused.state == SourceState.UNVERIFIED
    assert unsigned in refused.message
    upstream.git("reset", "-q", "--hard", first)
    other = upstream.commit({"vms/db.yaml": "a: 4\n"}, **keys.ssh_signing("ada"))
    upstream.git("push", "-q", "-f", "origin", "main")
    waiting = source.fetch()
    assert waiting.state == SourceState.REWRITTEN
    assert second[:12] in waiting.approval_reason
    assert source.accepted().revision.commit == second
    assert source.fetch({waiting.approval}).state == SourceState.READY
    assert source.accepted().revision.commit == other


def test_a_tag_that_is_signed_later_over_https(upstream, web, make_source, keys, verify):
    upstream.git("tag", "v1")
    upstream.git("push", "-q", "origin", "v1")
    source = make_source(web.url("open", upstream.served), verify=verify, follow=Follow(kind=FollowKind.TAG, name="v1"))
    assert source.fetch().state == SourceState.UNVERIFIED
    upstream.git("tag", "-f", "-s", "-m", "signed", "v1", **keys.ssh_signing("ada"))
    upstream.git("push", "-q", "-f", "origin", "v1")
    assert source.fetch().state == SourceState.READY
    assert source.accepted().revision.commit == upstream.git("rev-parse", "main")
