"""Audit entries from a commit message that `compose_message` wrote. Pure, and never fails: what is not ours is skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from urllib.parse import unquote as percent_decoded

from reconciler.journal.message import (
    CHANGE_SIGN,
    HOLD_SIGN,
    JOURNAL_SIGN,
    OPERATOR_SIGN,
    PROBLEM_SIGN,
    SOURCE_SIGN,
)
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action, Cause, Impact
from reconciler.model.record import AuditEntry

_CHANGE = re.compile(r"(\S+) (\S+) (\S+) (\S+) cause=(\S+) took=([0-9.]+) at=(\S+?)(?: source=(\S+))?")
_HELD = re.compile(r"(\S+) (\S+) (\S+) cause=(\S+) rule=(\S*) hold=(\S*?)(?: source=(\S+))?")
_REVISION = re.compile(r"(\S+?)(?: source=(\S+))?")
_PROBLEM = re.compile(r"(\S+) (\S+) (\S+)")
_OPERATOR = re.compile(r"(\S+) by (.*) at=(\S+?)(?: on=(\S+))?")
_SOURCE = re.compile(r"(\S+) (\S+) (\S+)")
_BLOCK_OF = {
    "Source-Event": SOURCE_SIGN, "Change": CHANGE_SIGN, "Hold": HOLD_SIGN, "Problem": PROBLEM_SIGN, "Operator": OPERATOR_SIGN,
    "Journal": JOURNAL_SIGN,
}  # fmt: skip
GITVIRT = "gitvirt"
JOURNAL = "journal"
"""The action of an entry about the journal itself."""


@dataclass(frozen=True, slots=True)
class _Context:
    """What all entries of one commit share. ``revisions`` maps a source to (commit, author)."""

    commit: str
    at: datetime
    revisions: Mapping[str, tuple[str, str]]
    cause: Cause
    operators: tuple[tuple[ObjectKey | None, str], ...] = ()

    def revision(self, source: str = "") -> str:
        """The commit of a source; of none, that of the only one."""
        return self._of(source)[0]

    def who(self, key: ObjectKey | None, cause: Cause, source: str = "") -> str:
        """Who is behind a change: drift is gitvirt's own doing, an operator's act is the operator's, not the author's of
        the revision that happens to be in force.
        """
        if cause == Cause.OPERATOR:
            return next((by for on, by in self.operators if on in (None, key)), GITVIRT)
        return GITVIRT if cause in (Cause.DRIFT, Cause.EXPIRY) else self._of(source)[1] or GITVIRT

    def _of(self, source: str) -> tuple[str, str]:
        return self.revisions.get(source, ("", ""))


def parse_message(commit: str, message: str, at: datetime) -> tuple[AuditEntry, ...]:
    """What a commit tells, in the order of execution. ``at`` is the commit's time, for entries without an own one."""
    head, _, last = message.rstrip("\n").rpartition("\n\n")
    trailers = [
        (name, value) for name, separator, value in (line.partition(": ") for line in last.split("\n")) if separator
    ]
    first = dict(reversed(trailers))
    revisions: dict[str, tuple[str, str]] = {}
    for (name, value), (_, author) in pairwise([*trailers, ("", "")]):
        if name == "Source-Revision" and (match := _REVISION.fullmatch(value)):
            revisions[_unquote(match[2] or "")] = (_unquote(match[1]), author)
    context = _Context(
        commit,
        at,
        revisions,
        _cause(first.get("Cause", "")),
        tuple(
            (_key(on) if on else None, by)
            for name, value in trailers
            if name == "Operator" and (match := _OPERATOR.fullmatch(value))
            for _, by, _, on in (match.groups(),)
        ),
    )
    return tuple(_entries(context, trailers, _blocks(head)))


def _entries(
    context: _Context, trailers: list[tuple[str, str]], blocks: dict[str, list[list[str]]]
) -> Iterator[AuditEntry]:
    waiting: list[str] = []
    for name, value in trailers:
        if name == "Held":
            waiting.append(value)
        if name not in _BLOCK_OF:
            continue
        queue = blocks[_BLOCK_OF[name]]
        block = queue.pop(0) if queue else []
        entry = None
        match name:
            case "Source-Event":
                entry = _source(context, value, block)
            case "Journal":
                entry = _journal(context, value, block)
            case "Change":
                entry = _change(context, value, block)
            case "Problem":
                entry = _problem(context, value, block)
            case "Operator":
                entry = _operator(context, value, block)
            case "Hold":
                yield from filter(None, (_held(context, change, block) for change in waiting))
                waiting = []
        if entry:
            yield entry


def _change(context: _Context, value: str, block: list[str]) -> AuditEntry | None:
    match = _CHANGE.fullmatch(value)
    if not match:
        return None
    key, action, impact, result, cause, _, at, quoted = match.groups()
    source = _unquote(quoted or "")
    reason, outcome = _field(block, "reason"), _field(block, "outcome")
    return AuditEntry(
        commit=context.commit,
        at=_time(at) or context.at,
        cause=_cause(cause),
        action=_action(action),
        key=_key(key),
        impact=_impact(impact),
        result=result,
        revision=context.revision(source),
        source=source,
        author=context.who(_key(key), _cause(cause), source),
        reason=": ".join(filter(None, (reason, outcome))),
        differences=tuple(_fields(block, "difference")),
    )


def _held(context: _Context, value: str, block: list[str]) -> AuditEntry | None:
    match = _HELD.fullmatch(value)
    if not match:
        return None
    key, action, impact, cause, rule, hold, quoted = match.groups()
    source = _unquote(quoted or "")
    reason = _field(block, "reason")
    return AuditEntry(
        commit=context.commit,
        at=context.at,
        cause=_cause(cause),
        action=_action(action),
        key=_key(key),
        impact=_impact(impact),
        result="held",
        revision=context.revision(source),
        source=source,
        author=context.who(_key(key), _cause(cause), source),
        reason=": ".join(filter(None, (f"{_unquote(rule)} {_unquote(hold)}", reason))),
    )


def _problem(context: _Context, value: str, block: list[str]) -> AuditEntry | None:
    match = _PROBLEM.fullmatch(value)
    if not match:
        return None
    code, severity, key = match.groups()
    return AuditEntry(
        commit=context.commit,
        at=context.at,
        cause=Cause.COMMIT,
        action="problem",
        key=None if key == "-" else _key(key),
        impact=None,
        result=severity,
        revision=context.revision(),
        author=context.who(None, Cause.COMMIT),
        reason=": ".join(filter(None, (_unquote(code), _field(block, "field"), _field(block, "message")))),
    )


def _source(context: _Context, value: str, block: list[str]) -> AuditEntry | None:
    match = _SOURCE.fullmatch(value)
    if not match:
        return None
    what, result, head = map(_unquote, match.groups())
    return AuditEntry(
        commit=context.commit,
        at=context.at,
        cause=Cause.COMMIT,
        action=what,
        key=None,
        impact=None,
        result=result,
        revision=head,
        author=GITVIRT,
        reason=_field(block, "message"),
    )


def _journal(context: _Context, value: str, block: list[str]) -> AuditEntry:
    return AuditEntry(
        commit=context.commit,
        at=context.at,
        cause=Cause.COMMIT,
        action=JOURNAL,
        key=None,
        impact=None,
        result=_unquote(value),
        revision="",
        author=GITVIRT,
        reason=_field(block, "message"),
    )


def _operator(context: _Context, value: str, block: list[str]) -> AuditEntry | None:
    match = _OPERATOR.fullmatch(value)
    if not match:
        return None
    verb, by, at, key = match.groups()
    return AuditEntry(
        commit=context.commit,
        at=_time(at) or context.at,
        cause=Cause.OPERATOR,
        action=_unquote(verb),
        key=_key(key) if key else None,
        impact=None,
        result="asked",
        revision=context.revision(),
        author=by,
        reason=_field(block, "arguments"),
    )


def _blocks(body: str) -> dict[str, list[list[str]]]:
    """The blocks of each sign, each as its indented lines."""
    blocks: dict[str, list[list[str]]] = {sign: [] for sign in _BLOCK_OF.values()}
    current: list[str] = []
    # The subject begins with no sign; ``note:`` lines end a block and belong to none.
    for line in body.split("\n"):
        if line[:2] in blocks:
            current = []
            blocks[line[:2]].append(current)
        elif line.startswith("  "):
            current.append(line[2:])
        else:
            current = []
    return blocks


def _fields(block: list[str], name: str) -> list[str]:
    return [line.removeprefix(f"{name}: ") for line in block if line.startswith(f"{name}: ")]


def _field(block: list[str], name: str) -> str:
    return next(iter(_fields(block, name)), "")


def _key(text: str) -> ObjectKey | None:
    match [_unquote(part) for part in text.split("/")]:
        case [kind, namespace, name]:
            return ObjectKey(kind, namespace, name)
        case [kind, name]:
            return ObjectKey(kind, "", name)
    return None


def _unquote(text: str) -> str:
    return percent_decoded(text, errors="surrogatepass")


def _cause(text: str) -> Cause:
    return Cause(text) if text in tuple(Cause) else Cause.COMMIT


def _action(text: str) -> Action | str:
    return Action(text) if text in tuple(Action) else text


def _impact(text: str) -> Impact | None:
    return Impact(text) if text in tuple(Impact) else None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
