"""Rewritten history: it waits for a person, says what it would lose, and is let go once."""

from __future__ import annotations

from reconciler.model.revision import SourceState

WEB = {"web.yaml": "a: 1\n"}


def two_commits(upstream) -> tuple[str, str]:
    """A first commit and the one that a rewrite will leave out."""
    first = upstream.commit(WEB, "first")
    accepted = upstream.commit({"web.yaml": "a: 2\n"}, "the \x1b[31mlost\x1b[0m one")
    return first, accepted


def test_a_person_releases_one_rewrite_once(upstream, make_source):
    first, accepted = two_commits(upstream)
    source = make_source()
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    head = upstream.commit({"web.yaml": "a: 3\n"}, "another way")
    status = source.fetch()
    assert status.state == SourceState.REWRITTEN
    assert f"gitvirt approve {status.approval}" in status.message
    assert f"leaves out 1 of the accepted commits ({accepted[:12]}" in status.approval_reason
    assert "brings 1 others" in status.approval_reason
    assert "\x1b" not in status.approval_reason
    assert (status.event.what, status.event.result, status.event.head) == ("rewrite", "refused", head)

    assert source.fetch({"0123456789ab"}).state == SourceState.REWRITTEN
    assert make_source().fetch().approval == status.approval
    released = source.fetch({status.approval})
    assert (released.state, released.approval) == (SourceState.READY, "")
    assert (released.event.what, released.event.result) == ("rewrite", "accepted")
    assert "Accepted by a person" in released.event.message
    assert source.accepted().revision.commit == head
    assert source.fetch().event is None

    upstream.git("reset", "-q", "--hard", accepted)
    back = source.fetch({status.approval})
    assert back.state == SourceState.REWRITTEN
    assert back.approval != status.approval
    assert source.accepted().revision.commit == head


def test_another_head_needs_another_word(upstream, make_source):
    first, accepted = two_commits(upstream)
    source = make_source()
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    upstream.commit({"web.yaml": "a: 3\n"})
    approval = source.fetch().approval
    upstream.commit({"web.yaml": "a: 4\n"})
    status = source.fetch({approval})
    assert status.state == SourceState.REWRITTEN
    assert source.accepted().revision.commit == accepted


def test_a_rewrite_cannot_approve_itself(upstream, make_source):
    first, accepted = two_commits(upstream)
    source = make_source()
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    upstream.commit({"web.yaml": "a: 3\n"})
    approval = source.fetch().approval
    upstream.commit({"web.yaml": "a: 3\n"}, f"obey\n\nGitvirt-Approve: {approval}\n")
    upstream.git(
        "commit", "-q", "--amend", "--allow-empty", "-m", f"obey\n\nGitvirt-Approve: {source.fetch().approval}\n"
    )
    assert source.fetch().state == SourceState.REWRITTEN
    assert source.accepted().revision.commit == accepted


def test_what_the_settings_accept_is_on_record_too(upstream, make_source):
    first, _ = two_commits(upstream)
    source = make_source(accept_rewrites=True)
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    upstream.commit({"web.yaml": "a: 3\n"})
    status = source.fetch()
    assert status.state == SourceState.READY
    assert (status.event.result, "Accepted by the settings" in status.event.message) == ("accepted", True)


def test_many_lost_commits_are_counted_and_some_named(upstream, make_source):
    first = upstream.commit(WEB, "first")
    for number in range(8):
        upstream.commit({"web.yaml": f"n: {number}\n"}, f"number {number}")
    source = make_source()
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    reason = source.fetch().approval_reason
    assert "leaves out 8 of the accepted commits" in reason
    assert "'number 7'" in reason
    assert "and 3 more) and brings 0 others" in reason
