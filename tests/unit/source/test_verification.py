"""Signatures that real git made, judged: what counts, what does not, and what stays enforced then."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.model.follow import Follow, FollowKind
from reconciler.model.revision import SourceState, SourceStatus
from reconciler.model.source_spec import VerifyMode, VerifySpec
from reconciler.source import signature_programs
from reconciler.source.limits import SourceLimits
from tests.unit.source.conftest import SteppedClock
from tests.unit.source.signing import Keys, revoke, throw_away_keys

WEB = {"web.yaml": "kind: VirtualMachine\n"}


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with throw_away_keys() as made:
        yield made


class Verified:
    """A source whose heads are judged by two files of keys."""

    def __init__(self, directory: Path, make_source, keys: Keys) -> None:
        self.keyring, self.signers = directory / "keyring.gpg", directory / "allowed_signers"
        self.keyring.write_bytes(keys.keyring("ada"))
        self.signers.write_bytes(keys.allowed("ada"))
        self._make = make_source
        self.source = self.make("all")

    def make(self, mode: str, **changes: object):
        spec = VerifySpec(mode=VerifyMode(mode), gpg_keyring=self.keyring, ssh_allowed_signers=self.signers)
        self.source = self._make(verify=spec, **changes)
        return self.source

    def refused(self, *parts: str) -> SourceStatus:
        """Look; it must be refused, and say all of ``parts``."""
        status = self.source.fetch()
        assert status.state == SourceState.UNVERIFIED, status
        for part in parts:
            assert part in status.message
        is_enforced = self.source.accepted() and self.source.accepted().revision.commit == status.head
        assert (status.event.what, status.event.result) == ("signature", "lost" if is_enforced else "refused")
        return status

    def accepted(self, commit: str) -> None:
        status = self.source.fetch()
        assert status.state == SourceState.READY, status
        self.stays(commit)

    def stays(self, commit: str) -> None:
        assert self.source.accepted().revision.commit == commit


@pytest.fixture
def verified(tmp_path, make_source, keys) -> Verified:
    return Verified(tmp_path, make_source, keys)


@pytest.mark.parametrize("kind", ["gpg", "ssh"])
@pytest.mark.parametrize("mode", ["all", "head"])
def test_a_known_key_is_accepted(upstream, verified, keys, kind, mode):
    signing = keys.gpg_signing("ada") if kind == "gpg" else keys.ssh_signing("ada")
    verified.make(mode)
    verified.accepted(upstream.commit(WEB, **signing))
    verified.accepted(upstream.commit({"db.yaml": "a: 1\n"}, "second\n\nwith a body", **signing))


def test_an_unsigned_commit_stops_at_the_last_accepted_one_and_is_named(upstream, verified, keys):
    first = upstream.commit(WEB, **keys.ssh_signing("ada"))
    verified.accepted(first)
    second = upstream.commit({"web.yaml": "x: 1\n"}, "evil \x1b[31mred\x1b[0m subject")
    status = verified.refused(second, "is not signed", f"{first[:12]} stays enforced", "commit --amend -S")
    assert "\x1b" not in status.message
    assert status.head == second
    verified.stays(first)
    again = verified.make("all")
    verified.refused(second)
    assert again.accepted().revision.commit == first


def test_unknown_keys(upstream, verified, keys):
    upstream.commit(WEB, **keys.gpg_signing("bob"))
    verified.refused("is signed with the key", "which is not in", str(verified.keyring))
    upstream.commit(WEB, **keys.ssh_signing("bob"))
    verified.make("head")
    verified.refused("SHA256:", "which is not in", str(verified.signers), "Nothing has been accepted yet")


def test_an_expired_openpgp_key(upstream, verified, keys):
    verified.keyring.write_bytes(keys.keyring("expired"))
    upstream.commit(WEB, **keys.gpg_signing("expired"))
    verified.refused("expired@example.org", "has expired", "renewed key")


def test_a_revoked_openpgp_key(upstream, verified, keys, tmp_path):
    with throw_away_keys() as own:
        verified.keyring.write_bytes(own.keyring("revoked"))
        commit = upstream.commit(WEB, **own.gpg_signing("revoked"))
        verified.accepted(commit)
        revoke(own)
        verified.keyring.write_bytes(own.keyring("revoked"))
        verified.refused("revoked@example.org", "has been revoked", f"{commit[:12]} stays enforced")
        verified.stays(commit)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('valid-before="20250101"', "has expired"),
        ('valid-after="20990101"', "is not valid yet"),
        ('namespaces="file"', "may not sign for Git"),
        ('namespaces="git",valid-after="20200101"', ""),
    ],
)
def test_what_allowed_signers_say_of_a_key_holds(upstream, verified, keys, options, said):
    verified.signers.write_bytes(keys.allowed("ada", options=options))
    commit = upstream.commit(WEB, **keys.ssh_signing("ada"))
    if said:
        verified.refused(commit, said)
    else:
        verified.accepted(commit)


def crafted(upstream, raw: bytes) -> str:
    """A commit object of these bytes, and main at it."""
    commit = upstream.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
    upstream.git("update-ref", "refs/heads/main", commit)
    return commit


def raw_commit(upstream, commit: str) -> bytes:
    return subprocess.run(
        ["git", "cat-file", "commit", commit], cwd=upstream.path, capture_output=True, check=True
    ).stdout


def with_signature(raw: bytes, signature: bytes) -> bytes:
    head, _, body = raw.partition(b"\n\n")
    return head + b"\ngpgsig " + signature.strip().replace(b"\n", b"\n ") + b"\n\n" + body


@pytest.mark.parametrize("kind", ["gpg", "ssh"])
def test_a_commit_that_was_changed_after_signing(upstream, verified, keys, kind):
    signing = keys.gpg_signing("ada") if kind == "gpg" else keys.ssh_signing("ada")
    signed = raw_commit(upstream, upstream.commit(WEB, "harmless", **signing))
    commit = crafted(upstream, signed.replace(b"harmless", b"harmful!"))
    verified.refused(commit, "was changed after it was signed")


def test_a_signature_made_for_something_else_than_git(upstream, verified, keys):
    raw = raw_commit(upstream, upstream.commit(WEB))
    commit = crafted(upstream, with_signature(raw, keys.ssh_signature("ada", raw, namespace="file")))
    verified.refused(commit, "made for something else than Git")
    verified.accepted(crafted(upstream, with_signature(raw, keys.ssh_signature("ada", raw))))


def test_odd_signatures_are_refused_not_guessed(upstream, verified, keys):
    raw = raw_commit(upstream, upstream.commit(WEB))
    good = keys.ssh_signature("ada", raw)
    for signature, said in (
        (b"-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----", "neither OpenPGP nor SSH"),
        (b"nonsense", "neither OpenPGP nor SSH"),
        (b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----", "cannot be read"),
        (b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "cannot be read"),
        (good.replace(b"\n", b"\n" + b"A" * 70_000 + b"\n", 1), "cannot be read"),
    ):
        verified.refused(crafted(upstream, with_signature(raw, signature)), said)
    twice = with_signature(with_signature(raw, good), good)
    verified.refused(crafted(upstream, twice), "more than one signature")
    verified.refused(crafted(upstream, raw + b"x" * (1 << 20)), "which no commit needs")


def test_an_unsigned_commit_in_the_middle(upstream, verified, keys):
    first = upstream.commit(WEB, **keys.ssh_signing("ada"))
    verified.accepted(first)
    middle = upstream.commit({"db.yaml": "a: 1\n"}, "unsigned")
    head = upstream.commit({"db.yaml": "a: 2\n"}, "signed", **keys.ssh_signing("ada"))
    verified.refused(middle, "'unsigned'")
    verified.stays(first)
    verified.make("head")
    verified.accepted(head)


def test_a_merge_brings_the_commits_of_its_branch(upstream, verified, keys):
    signing = keys.ssh_signing("ada")
    first = upstream.commit(WEB, **signing)
    verified.accepted(first)
    upstream.git("checkout", "-q", "-b", "side")
    side = upstream.commit({"side.yaml": "a: 1\n"}, "on the side")
    upstream.git("checkout", "-q", "main")
    upstream.commit({"main.yaml": "a: 1\n"}, **signing)
    upstream.git("merge", "-q", "--no-ff", "-S", "-m", "merge", "side", **signing)
    verified.refused(side, "'on the side'")
    verified.stays(first)
    verified.make("head")
    verified.accepted(upstream.git("rev-parse", "main"))


def test_the_first_accepted_head_answers_for_what_came_before(upstream, verified, keys):
    upstream.commit(WEB, "long before signatures")
    upstream.commit({"db.yaml": "a: 1\n"}, "unsigned too")
    verified.refused("is not signed")
    verified.accepted(upstream.commit({}, "signed", **keys.gpg_signing("ada")))


def test_keys_change_hands(upstream, verified, keys):
    first = upstream.commit(WEB, **keys.ssh_signing("ada"))
    verified.accepted(first)
    second = upstream.commit({"db.yaml": "a: 1\n"}, **keys.ssh_signing("bob"))
    verified.refused(second, "which is not in")
    verified.signers.write_bytes(keys.allowed("ada", "bob"))
    verified.accepted(second)
    verified.signers.write_bytes(keys.allowed("ada"))
    verified.refused(second, f"{second[:12]} stays enforced")
    verified.stays(second)
    verified.accepted(upstream.commit({"db.yaml": "a: 2\n"}, **keys.ssh_signing("ada")))


def test_keys_that_are_not_there_let_nothing_pass(upstream, verified, keys):
    first = upstream.commit(WEB, **keys.gpg_signing("ada"))
    verified.accepted(first)
    for content, said in (
        (None, "No such file"),
        (b"", "holds no OpenPGP public key"),
        (b"garbage", "holds no OpenPGP public key"),
        (keys.gpg("--export-secret-keys", "--armor", "bob@example.org"), "holds a private key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n-----END PGP PUBLIC KEY BLOCK-----", "damaged"),
    ):
        verified.keyring.unlink(missing_ok=True)
        if content is not None:
            verified.keyring.write_bytes(content)
        verified.refused("cannot be judged", said)
        verified.stays(first)
    verified.keyring.write_bytes(keys.keyring("ada", armored=True) + keys.keyring("bob", armored=True))
    verified.accepted(first)
    verified.accepted(upstream.commit({"db.yaml": "a: 1\n"}, **keys.gpg_signing("bob")))
    verified.signers.write_bytes(b"# nobody\n")
    verified.refused("hold no key")


def test_a_program_that_is_missing_lets_nothing_pass(upstream, verified, keys, monkeypatch):
    upstream.commit(WEB, **keys.gpg_signing("ada"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    verified.refused("gpgv is not on this machine: install the package gpgv")


def test_a_program_that_hangs_lets_nothing_pass(upstream, verified, keys, monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    upstream.commit(WEB, **keys.gpg_signing("ada"))
    monkeypatch.setattr(shutil, "which", lambda _: str(slow))
    monkeypatch.setattr(signature_programs, "TIMEOUT_S", 0.3)
    verified.refused("gpgv did not answer within 0.3 s")


def test_a_signed_tag_counts_for_its_commit_under_its_own_name(upstream, verified, keys):
    commit = upstream.commit(WEB)
    upstream.git("tag", "v0")
    verified.make("all", follow=Follow(kind=FollowKind.TAG, name="v0"))
    verified.refused(commit, "is not signed")
    upstream.git("tag", "-f", "-a", "-m", "annotated", "v0")
    verified.refused(commit, "is not signed")
    upstream.git("tag", "-f", "-s", "-m", "signed", "v0", **keys.ssh_signing("ada"))
    verified.accepted(commit)
    upstream.git("tag", "-s", "-m", "signed", "v1.0.0", **keys.gpg_signing("ada"))
    verified.make("all", follow=Follow(kind=FollowKind.SEMVER, name="^1.0"))
    verified.accepted(commit)
    upstream.git("update-ref", "refs/tags/v1.9.9", upstream.git("rev-parse", "refs/tags/v1.0.0"))
    verified.make(
        "all", follow=Follow(kind=FollowKind.SEMVER, name="^1.0"), state_directory=verified.keyring.parent / "s"
    )
    verified.refused(commit, "is not signed")


def test_too_many_commits_at_once(upstream, verified, keys):
    signing = keys.ssh_signing("ada")
    verified.make("all", limits=SourceLimits(verified_commits=2))
    verified.accepted(upstream.commit(WEB, **signing))
    for number in range(3):
        upstream.commit({"n.yaml": f"n: {number}\n"}, **signing)
    verified.refused("more than 2 new commits", "verify.mode: head")


def test_what_counted_once_is_not_asked_again(upstream, verified, keys, monkeypatch):
    signing = keys.ssh_signing("ada")
    verified.accepted(upstream.commit(WEB, **signing))
    for number in range(12):
        upstream.commit({"n.yaml": f"n: {number}\n"}, **signing)
    bad = upstream.commit({}, "unsigned")
    asked = []
    check = signature_programs.SignaturePrograms.check
    monkeypatch.setattr(
        signature_programs.SignaturePrograms, "check", lambda self, name, s: asked.append(name) or check(self, name, s)
    )
    verified.refused(bad)
    assert len(asked) == 13
    verified.refused(bad)
    assert asked[13:] == [bad]


def test_the_time_of_judging_counts_not_the_one_a_commit_claims(upstream, verified, keys):
    # A stolen key that has expired could date its commits back at will.
    assert SteppedClock().now() > datetime(2025, 6, 1, tzinfo=UTC)
    verified.signers.write_bytes(keys.allowed("ada", options='valid-before="20250601"'))
    past = {"GIT_COMMITTER_DATE": "2025-01-01T00:00:00Z", "GIT_AUTHOR_DATE": "2025-01-01T00:00:00Z"}
    verified.refused(upstream.commit(WEB, **keys.ssh_signing("ada"), **past), "has expired")


def test_a_pin_that_goes_back_is_judged_like_any_step(upstream, verified, keys):
    unsigned = upstream.commit(WEB)
    upstream.git("tag", "old")
    signed = upstream.commit({"db.yaml": "a: 1\n"}, **keys.ssh_signing("ada"))
    upstream.git("tag", "v")
    verified.make("all", follow=Follow(kind=FollowKind.TAG, name="v"))
    verified.accepted(signed)
    upstream.git("tag", "-f", "v", unsigned)
    verified.refused(unsigned, "is not signed", f"{signed[:12]} stays enforced")
    upstream.git("tag", "-f", "-s", "-m", "on purpose", "v", unsigned, **keys.ssh_signing("ada"))
    verified.accepted(unsigned)


def test_a_merge_of_a_signed_tag_carries_that_tag_in_its_own_signature(upstream, verified, keys):
    signing = keys.gpg_signing("ada")
    verified.accepted(upstream.commit(WEB, **signing))
    upstream.git("checkout", "-q", "-b", "side")
    upstream.commit({"side.yaml": "a: 1\n"}, **signing)
    upstream.git("tag", "-s", "-m", "release", "side-1", **signing)
    upstream.git("checkout", "-q", "main")
    upstream.git("merge", "-q", "--no-ff", "-S", "-m", "merge", "side-1", **signing)
    head = upstream.git("rev-parse", "main")
    assert b"\nmergetag object" in raw_commit(upstream, head)
    verified.accepted(head)


def test_history_that_was_rewritten_is_verified_before_anybody_is_asked(upstream, verified, keys):
    signing = keys.ssh_signing("ada")
    first = upstream.commit(WEB, **signing)
    second = upstream.commit({"db.yaml": "a: 1\n"}, **signing)
    verified.accepted(second)
    upstream.git("reset", "-q", "--hard", first)
    unsigned = upstream.commit({"db.yaml": "a: 2\n"})
    assert verified.refused(unsigned).approval == ""
    upstream.git("commit", "-q", "--amend", "-S", "--no-edit", **signing)
    status = verified.source.fetch()
    assert status.state == SourceState.REWRITTEN
    verified.stays(second)
    assert verified.source.fetch({status.approval}).state == SourceState.READY
