"""Whatever text comes in, the entries that come out are the ones that went in."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from reconciler.journal.audit import Wanted
from reconciler.journal.message import Notice, compose_message, difference_line
from reconciler.journal.novelty import Noteworthy
from reconciler.journal.object_files import from_yaml, object_path, to_yaml
from reconciler.journal.reading import parse_message
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plain_text import escaped, is_plain, one_line
from reconciler.model.plan import Action, Cause, Change, Difference, Hold, Impact
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.record import AppliedChange, CycleRecord, OperatorAction
from reconciler.model.revision import Revision, SourceEvent
from tests.unit.journal.building import NOW, applied
from tests.unit.journal.building import record as record_of

EVIL = st.sampled_from(
    [
        "",
        "\n\n",
        "* update x: y",
        "Change: a/b c d e cause=drift",
        "  reason: x",
        "! ",
        "\x1b[0m",
        "\r\n",
        "\u2028",
        "at=",
    ]
)
ANY = st.characters(codec=None)  # lone surrogates too
TEXT = st.lists(st.one_of(EVIL, st.text(ANY, max_size=12)), max_size=4).map("".join)
NAME = st.text(ANY, min_size=1, max_size=20)
KEY = st.builds(ObjectKey, NAME, st.text(ANY, max_size=10), NAME)
TIME = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
DIFFERENCE = st.builds(
    Difference,
    path=TEXT,
    before=st.one_of(st.none(), TEXT, st.dictionaries(TEXT, TEXT, max_size=2)),
    after=st.one_of(st.none(), TEXT, st.integers()),
    impact=st.sampled_from(Impact),
    reason=TEXT,
)
CHANGE = st.builds(
    Change,
    key=KEY,
    action=st.sampled_from(Action),
    cause=st.sampled_from(Cause),
    impact=st.sampled_from(Impact),
    reason=TEXT,
    expected=st.just(""),
    revision=TEXT,
    source=TEXT,
    differences=st.lists(DIFFERENCE, max_size=3).map(tuple),
    restore=TEXT,
)
OUTCOME = st.builds(Outcome, result=st.sampled_from(Result), reason=TEXT, steps=st.lists(TEXT, max_size=2).map(tuple))
DONE = st.builds(AppliedChange, change=CHANGE, outcome=OUTCOME, started_at=TIME, ended_at=TIME)
HOLD = st.builds(Hold, hold_id=TEXT, rule=TEXT, reason=TEXT, changes=st.lists(CHANGE, max_size=2).map(tuple))
PROBLEM = st.builds(
    Problem,
    code=NAME,
    severity=st.sampled_from(Severity),
    place=st.builds(Place, TEXT, st.integers(0, 9)),
    message=TEXT,
    object=st.none() | KEY,
    path=TEXT,
)
OPERATOR = st.builds(
    OperatorAction, verb=NAME, by=TEXT, at=TIME, key=st.none() | KEY, arguments=st.dictionaries(TEXT, TEXT, max_size=2)
)
EVENT = st.builds(SourceEvent, what=NAME, result=NAME, head=NAME, message=TEXT)
NEWS = st.builds(
    Noteworthy,
    source=st.lists(EVENT, max_size=2).map(tuple),
    applied=st.lists(DONE, max_size=3).map(tuple),
    held=st.lists(HOLD, max_size=2).map(tuple),
    problems=st.lists(PROBLEM, max_size=2).map(tuple),
    operator=st.lists(OPERATOR, max_size=2).map(tuple),
)
RECORD = st.builds(
    CycleRecord,
    started_at=TIME,
    ended_at=TIME,
    revisions=st.dictionaries(
        TEXT, st.builds(Revision, commit=NAME, author=TEXT, email=TEXT, subject=TEXT), max_size=2
    ),
    plan_id=TEXT,
    messages=st.lists(TEXT, max_size=2).map(tuple),
    detected_at=st.none() | TIME,
)


# Shrinking such large examples takes minutes and tells little more.
@settings(max_examples=200, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(RECORD, NEWS, st.lists(st.builds(Notice, NAME, TEXT), max_size=2))
def test_entries_come_back(record, news, notices):
    message = compose_message(record, news, notices)
    message.encode()
    assert all(is_plain(line) for line in message.split("\n"))
    entries = list(parse_message("c0ffee", message, record.ended_at))
    for notice in notices:
        entry = entries.pop(0)
        assert (entry.key, entry.action, entry.result) == (None, "journal", notice.what)
        assert entry.reason == one_line(notice.text)
    for event in news.source:
        entry = entries.pop(0)
        assert (entry.key, entry.action, entry.result) == (None, event.what, event.result)
        assert (entry.revision, entry.reason) == (event.head, one_line(event.message))
    for done in news.applied:
        entry = entries.pop(0)
        assert (entry.key, entry.action, entry.impact) == (done.change.key, done.change.action, done.change.impact)
        assert (entry.cause, entry.result, entry.at) == (done.change.cause, str(done.outcome.result), done.ended_at)
        told = (one_line(done.change.reason), one_line(done.outcome.reason))
        assert entry.reason == ": ".join(filter(None, told))
        assert entry.differences == tuple(difference_line(difference) for difference in done.change.differences)
        assert Wanted(str(entry.key)).needle in message.encode() or str(entry.key).count("/") > 2
    for hold in news.held:
        for change in hold.changes:
            entry = entries.pop(0)
            assert (entry.key, entry.action, entry.result) == (change.key, change.action, "held")
            assert entry.reason.endswith(one_line(hold.reason))
    for problem in news.problems:
        entry = entries.pop(0)
        assert (entry.key, entry.action, entry.result) == (problem.object, "problem", str(problem.severity))
    for action in news.operator:
        entry = entries.pop(0)
        assert (entry.key, entry.action, entry.author) == (action.key, action.verb, one_line(action.by, 100))
        assert entry.at == action.at
    assert entries == []


@given(st.text(ANY))
def test_no_message_breaks_the_reader(message):
    list(parse_message("c0ffee", message, datetime(2026, 1, 1, tzinfo=UTC)))


@given(st.text(ANY), st.integers(1, 50))
def test_one_line_is_plain_short_and_final(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert is_plain(line)
    assert line == one_line(line, limit)
    line.encode()


@given(st.text(ANY))
def test_escaped_is_plain_and_one_to_one_without_backslashes(text):
    assert is_plain(escaped(text))
    escaped(text).encode()


@given(KEY, KEY)
def test_every_key_has_its_own_harmless_path(one, other):
    path = object_path(one)
    assert path.isascii()
    assert all(part and not part.startswith(".") and len(part) <= 205 for part in path.split("/"))
    assert len(path.split("/")) == 3
    assert (path == object_path(other)) == (one == other)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_yaml_is_deterministic_and_comes_back(data):
    assert from_yaml(to_yaml(data)) == data
    assert to_yaml(from_yaml(to_yaml(data))) == to_yaml(data)


def test_an_operators_act_is_not_put_down_to_the_author_of_the_revision():
    def change(name: str, cause: Cause) -> AppliedChange:
        return applied(ObjectKey("VirtualMachine", "default", name), cause=cause)

    asked = OperatorAction(verb="stop", by="ann", at=NOW, key=ObjectKey("VirtualMachine", "default", "web"))
    news = Noteworthy(
        applied=(change("web", Cause.OPERATOR), change("db", Cause.OPERATOR), change("new", Cause.COMMIT)),
        operator=(asked,),
    )
    message = compose_message(record_of(), news)
    told = {
        entry.key.name: entry.author for entry in parse_message("c0ffee", message, NOW) if entry.result == "applied"
    }
    assert told == {"web": "ann", "db": "gitvirt", "new": "Ada <ada@example.org>"}
