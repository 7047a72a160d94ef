"""A cycle as a commit message that people, ``git log`` and `parse_message` read alike. Pure.

The body has one block for each event of the source, change, hold, problem and operator's action: a line that begins with its sign, then
indented lines. The last paragraph holds trailers, one for each block, in the order of the blocks. All text from outside
is made one safe line first, so it can neither begin a block nor forge a trailer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from reconciler.journal.novelty import Noteworthy
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.plain_text import one_line
from reconciler.model.plan import Action, Cause, Change, Difference, Hold
from reconciler.model.problem import Problem
from reconciler.model.record import AppliedChange, CycleRecord, OperatorAction
from reconciler.model.revision import Revision, SourceEvent

CHANGE_SIGN, HOLD_SIGN, PROBLEM_SIGN, OPERATOR_SIGN, SOURCE_SIGN, JOURNAL_SIGN = "* ", "! ", "? ", "> ", "@ ", "= "
SUBJECT_LIMIT, TEXT_LIMIT, VALUE_LIMIT = 120, 500, 160
DIFFERENCES_LIMIT, PROBLEMS_LIMIT = 100, 200
_CAUSES = (Cause.COMMIT, Cause.OPERATOR, Cause.DRIFT, Cause.RETRY, Cause.EXPIRY)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to the journal itself: one word for it, and a sentence or two."""

    what: str
    text: str


def compose_message(record: CycleRecord, news: Noteworthy, notices: Sequence[Notice] = ()) -> str:
    """The message of the commit that tells ``news`` of a cycle. ``notices`` come right below the subject."""
    problems = news.problems[:PROBLEMS_LIMIT]
    body: list[str] = []
    for notice in notices:
        body += [f"{JOURNAL_SIGN}journal {one_line(notice.what, 60)}", *_text("message", notice.text)]
    for event in news.source:
        body += _source_block(event)
    for done in news.applied:
        body += _change_block(done)
    for hold in news.held:
        body += _hold_block(hold)
    for problem in problems:
        body += _problem_block(problem)
    if len(problems) < len(news.problems):
        body.append(f"and {len(news.problems) - len(problems)} more problems: see _problems.yaml")
    for action in news.operator:
        body += _operator_block(action)
    body += [f"note: {line}" for line in (one_line(text, TEXT_LIMIT) for text in record.messages) if line]
    paragraphs = [_subject(record, news, notices), "\n".join(body)]
    trailers = [*(f"Journal: {_word(notice.what)}" for notice in notices), *_trailers(record, news, problems)]
    return "\n\n".join([*filter(None, paragraphs), "\n".join(trailers)]) + "\n"


def compose_notice(notice: Notice) -> str:
    """The message of a commit that tells of the journal itself and of nothing else."""
    body = [f"{JOURNAL_SIGN}journal {one_line(notice.what, 60)}", *_text("message", notice.text)]
    subject = one_line(f"journal: {notice.what}", SUBJECT_LIMIT)
    return "\n\n".join([subject, "\n".join(body), f"Journal: {_word(notice.what)}"]) + "\n"


def dominant_cause(news: Noteworthy) -> Cause:
    """The cause that the commit as a whole is put down to."""
    causes = {done.change.cause for done in news.applied}
    causes |= {change.cause for hold in news.held for change in hold.changes}
    if news.operator:
        causes.add(Cause.OPERATOR)
    return next((cause for cause in _CAUSES if cause in causes), Cause.COMMIT)


def revision_behind(record: CycleRecord, news: Noteworthy) -> tuple[str, Revision] | None:
    """The source and revision that the changes come from; None where they come from several, or from none."""
    sources = {done.change.source for done in news.applied} & set(record.revisions) or set(record.revisions)
    if len(sources) != 1:
        return None
    source = sources.pop()
    return source, record.revisions[source]


def quoted_key(key: ObjectKey) -> str:
    """A key as one word: ``Kind/namespace/name`` or ``Kind/name``, each part percent-quoted."""
    parts = (key.kind, key.namespace, key.name) if key.namespace else (key.kind, key.name)
    return "/".join(_word(part) for part in parts)


def difference_line(difference: Difference) -> str:
    """``spec.memory: "2Gi" -> "4Gi" (restart, reason)`` as one safe line."""
    why = ", ".join(filter(None, (str(difference.impact), difference.reason, difference.refused)))
    values = f"{_value(difference.before)} -> {_value(difference.after)}"
    return one_line(f"{one_line(difference.path, 200)}: {values} ({why})", TEXT_LIMIT)


def _change_block(done: AppliedChange) -> list[str]:
    change, outcome = done.change, done.outcome
    lines = [f"{CHANGE_SIGN}{_headline(change)}: {outcome.result}"]
    lines += _text("reason", change.reason) + _text("outcome", outcome.reason)
    lines += _text("power", str(change.power or "")) + _text("restored from trash", change.restore)
    shown = change.differences[:DIFFERENCES_LIMIT]
    lines += [f"  difference: {difference_line(difference)}" for difference in shown]
    if len(shown) < len(change.differences):
        lines.append(f"  difference: and {len(change.differences) - len(shown)} more")
    return lines + [f"  step: {one_line(step, TEXT_LIMIT)}" for step in outcome.steps]


def _hold_block(hold: Hold) -> list[str]:
    approve = f" (release it with: gitvirt approve {one_line(hold.hold_id, 128)})" if hold.approvable else ""
    lines = [f"{HOLD_SIGN}held by {one_line(hold.rule, 60)}{approve}", *_text("reason", hold.reason)]
    return lines + [f"  waits: {_headline(change)}" for change in hold.changes]


def _problem_block(problem: Problem) -> list[str]:
    about = f" {one_line(str(problem.object), SUBJECT_LIMIT)}" if problem.object else ""
    lines = [
        f"{PROBLEM_SIGN}{one_line(str(problem.place), 300)} {problem.severity} {one_line(problem.code, 60)}{about}"
    ]
    return lines + _text("field", problem.path) + _text("message", problem.message) + _text("hint", problem.hint)


def _operator_block(action: OperatorAction) -> list[str]:
    told = [f"{name}={value}" for name, value in sorted(action.arguments.items())]
    on = f" {one_line(str(action.key), SUBJECT_LIMIT)}" if action.key else ""
    head = f"{OPERATOR_SIGN}{one_line(action.by, 100)} asked for {one_line(action.verb, 60)}{on}"
    return [head, *_text("arguments", ", ".join(told))]


def _source_block(event: SourceEvent) -> list[str]:
    head = f"{SOURCE_SIGN}{one_line(event.what, 60)} {one_line(event.result, 60)} {one_line(event.head, 64)}"
    return [head, *_text("message", event.message)]


def _headline(change: Change) -> str:
    return f"{change.action} {one_line(str(change.key), SUBJECT_LIMIT)} ({change.impact}, {change.cause})"


def _text(name: str, text: str) -> list[str]:
    line = one_line(text, TEXT_LIMIT)
    return [f"  {name}: {line}"] if line else []


def _trailers(record: CycleRecord, news: Noteworthy, problems: tuple[Problem, ...]) -> list[str]:
    lines = []
    for source, revision in sorted(record.revisions.items()):
        lines.append(f"Source-Revision: {_word(revision.commit)}{_source(source)}")
        author = one_line(f"{revision.author} <{revision.email}>", 200)
        lines.append(f"Source-Author: {author}")
    lines.append(f"Cause: {dominant_cause(news)}")
    if record.plan_id:
        lines.append(f"Plan: {_word(record.plan_id)}")
    lines += [f"Source-Event: {_word(e.what)} {_word(e.result)} {_word(e.head)}" for e in news.source]
    for done in news.applied:
        change, took = done.change, (done.ended_at - done.started_at).total_seconds()
        lines.append(
            f"Change: {quoted_key(change.key)} {change.action} {change.impact} {done.outcome.result} "
            f"cause={change.cause} took={max(took, 0):.3f} at={_time(done.ended_at)}{_source(change.source)}"
        )
    for hold in news.held:
        lines += [
            f"Held: {quoted_key(change.key)} {change.action} {change.impact} cause={change.cause} "
            f"rule={_word(hold.rule)} hold={_word(hold.hold_id)}{_source(change.source)}"
            for change in hold.changes
        ]
        lines.append(f"Hold: {_word(hold.hold_id)}")
    for problem in problems:
        about = quoted_key(problem.object) if problem.object else "-"
        lines.append(f"Problem: {_word(problem.code)} {problem.severity} {about}")
    for action in news.operator:
        on = f" on={quoted_key(action.key)}" if action.key else ""
        lines.append(f"Operator: {_word(action.verb)} by {one_line(action.by, 100)} at={_time(action.at)}{on}")
    drift = [(at, done.ended_at) for done in news.applied if (at := record.detected(done)) is not None]
    if drift:
        longest_s = max((ended_at - at).total_seconds() for at, ended_at in drift)
        lines += [f"Detected: {_time(min(drift)[0])}", f"Corrected-After-Ms: {max(longest_s, 0) * 1000:.0f}"]
    return lines


def _subject(record: CycleRecord, news: Noteworthy, notices: Sequence[Notice]) -> str:
    if not news and notices:
        return one_line(f"journal: {', '.join(notice.what for notice in notices)}", SUBJECT_LIMIT)
    if not news.applied:
        return one_line(_subject_without_changes(news), SUBJECT_LIMIT)
    cause = dominant_cause(news)
    head = str(cause)
    if cause == Cause.COMMIT and (found := revision_behind(record, news)) is not None:
        source, revision = found
        head = f"commit {one_line(source)}@{revision.commit[:7]}" if source else f"commit {revision.commit[:7]}"
    failed = sum(1 for done in news.applied if done.outcome.is_fault)
    progressing = sum(1 for done in news.applied if done.outcome.result == Result.PROGRESSING)
    ends = [f"{failed} failed"] * bool(failed) + [f"{progressing} under way"] * bool(progressing)
    if len(news.applied) == 1:
        change, what = news.applied[0].change, ""
        verb = "correct" if cause == Cause.DRIFT and change.action in (Action.UPDATE, Action.CREATE) else change.action
        fields = [difference.path.rpartition(".")[2] for difference in change.differences[:3]]
        fields += ["power"] if change.power else []
        what = f" ({', '.join(fields)})" if fields and change.action != Action.DELETE else ""
        ends = [str(news.applied[0].outcome.result)] if ends else []
        told = f"{verb} {one_line(str(change.key), 80)}{what}"
    else:
        counts = [(action, sum(1 for done in news.applied if done.change.action == action)) for action in Action]
        told = ", ".join(f"{action} {count}" for action, count in counts if count)
    return one_line(": ".join((head, told)) + "".join(f"; {end}" for end in ends), SUBJECT_LIMIT)


def _subject_without_changes(news: Noteworthy) -> str:
    if news.operator:
        first = news.operator[0]
        on = f" {first.key}" if first.key else ""
        more = f" and {len(news.operator) - 1} more" if len(news.operator) > 1 else ""
        return f"operator: {first.verb}{on} by {first.by}{more}"
    if news.source:
        return f"source: {news.source[0].what} {news.source[0].result}: {news.source[0].head[:12]}"
    if news.held:
        count, waits = sum(len(hold.changes) for hold in news.held), "for a person"
        if all(hold.rule == "sync-wave" for hold in news.held):
            waits = "for the sync waves before theirs"
        return f"held: {count} changes wait {waits}"
    return f"problems: {len(news.problems)} new"


def _source(name: str) -> str:
    return f" source={_word(name)}" if name else ""


def _word(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")[:600]


def _value(value: Any) -> str:
    if value is None:
        return "absent"
    return one_line(json.dumps(value, sort_keys=True, default=str), VALUE_LIMIT)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
