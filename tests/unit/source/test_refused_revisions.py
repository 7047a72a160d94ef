"""A revision that was accepted and cannot be used gives way to the last one that was read as a whole, on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.model.errors import SourceError
from reconciler.model.revision import SourceState

GOOD = {"vms/web.yaml": "kind: VirtualMachine\n"}


@pytest.fixture
def followed(upstream, make_source):
    """(source, the confirmed commit, the commit that is accepted after it)."""
    good = upstream.commit(GOOD)
    source = make_source()
    source.fetch()
    source.confirm(good)
    large = upstream.commit({"vms/large.yaml": "a: 1\n"})
    source.fetch()
    assert source.accepted().revision.commit == large
    return source, good, large


def test_it_gives_way_at_once_and_for_as_long_as_it_is_the_head(upstream, make_source, followed):
    source, good, large = followed
    assert source.refuse(large, "it is too large")
    for status in (source.status(), source.fetch(), source.fetch()):
        assert (status.state, status.head) == (SourceState.REFUSED, large)
        assert status.message == f"{large[:12]} is refused: it is too large. {good[:12]} stays enforced."
        assert source.accepted().revision.commit == good
    better = upstream.commit({"vms/large.yaml": "a: 2\n"})
    assert source.fetch().state is SourceState.READY
    assert source.accepted().revision.commit == better


def test_a_restart_enforces_what_was_confirmed_with_the_remote_away(upstream, make_source, followed, tmp_path):
    source, good, large = followed
    source.refuse(large, "it is too large")
    upstream.path.rename(tmp_path / "elsewhere")
    source = make_source()
    assert source.fetch().state is SourceState.UNREACHABLE
    assert source.accepted().revision.commit == good


def test_the_end_of_the_process_before_the_refusal_changes_nothing(upstream, make_source, followed, tmp_path):
    _, good, large = followed
    upstream.path.rename(tmp_path / "elsewhere")
    source = make_source()
    assert source.accepted().revision.commit == large
    assert source.refuse(large, "it is too large")
    assert source.accepted().revision.commit == good


def test_the_first_revision_of_all_gives_way_to_nothing(upstream, make_source):
    commit = upstream.commit(GOOD)
    source = make_source()
    source.fetch()
    assert source.refuse(commit, "it is too large")
    assert source.accepted() is None
    assert "Nothing has been accepted yet" in source.status().message
    assert source.fetch().state is SourceState.REFUSED
    assert make_source().fetch().state is SourceState.READY, "another process may have wider limits"


def test_what_was_confirmed_never_gives_way_to_something_older(upstream, make_source, followed):
    source, _, large = followed
    source.confirm(large)
    source = make_source()
    source.fetch()
    assert not source.refuse(large, "it is larger than the limits of today")
    assert source.accepted().revision.commit == large
    status = source.fetch()
    assert status.state is SourceState.REFUSED
    assert "was accepted before and is now refused" in status.message


def test_a_refusal_that_comes_after_another_head_was_accepted_changes_nothing(upstream, followed):
    source, good, large = followed
    newer = upstream.commit({"vms/large.yaml": "a: 2\n"})
    source.fetch()
    assert not source.refuse(large, "it is too large")
    assert source.accepted().revision.commit == newer
    assert source.status().state is SourceState.READY
    assert source.refuse(newer, "it is too large, too")
    assert source.accepted().revision.commit == good


def test_a_confirmation_that_could_not_be_written_is_written_with_the_next_head(upstream, make_source, followed):
    source, _, large = followed
    blocked = next((Path(source._path) / "refs/gitvirt").glob("confirmed"))
    blocked.rename(blocked.with_name("kept"))
    blocked.mkdir()
    (blocked / "in-the-way").write_text("0" * 40)
    with pytest.raises(SourceError, match="cannot be written"):
        source.confirm(large)
    shutil.rmtree(blocked)
    blocked.with_name("kept").rename(blocked)
    newer = upstream.commit({"vms/web.yaml": "b: 1\n"})
    source.fetch()
    assert source.refuse(newer, "it is too large")
    assert source.accepted().revision.commit == large
