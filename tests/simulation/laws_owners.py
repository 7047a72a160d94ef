"""Touch only what is owned (law 6), what an operator said stands (law 8), and what is suspended is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from nodeexec.simulated.host import StepRecord
from nodeexec.simulated.state import HostDomain
from tests.simulation.known import Known, changed_domains, changed_things, marks_of, vm_of

_OPERATOR_STEPS = ("write operator marks", "remove marks", "destroy trash item", "take out of trash")
_OPERATOR_VERBS = ("stop", "start", "pause", "resume", "suspend")


def foreign_things_are_untouched(known: Known, record: StepRecord) -> Iterator[str]:
    """What is not ours, of this host, is after a step what it was."""
    for name, before, _ in changed_things(record):
        if before is not None and not known.owns(marks_of(before)):
            yield f"{name} is foreign and was touched"


def everything_is_born_owned(known: Known, record: StepRecord) -> Iterator[str]:
    """The mark is part of the call that makes a thing; it comes off by release alone."""
    for name, before, after in changed_things(record):
        if after is None or known.owns(marks_of(after)):
            continue
        if before is None:
            yield f"{name} was made without its mark"
        elif known.owns(marks_of(before)) and not known.asks("release", record.key):
            yield f"the mark of {name} came off"


def an_operators_word_stands(known: Known, record: StepRecord) -> Iterator[str]:
    """Overrides and suspensions change when an operator says so, and by nothing else."""
    for before, after in changed_domains(record):
        if after is None or before.marks is None or after.marks is None:
            continue
        words = [(marks.override, marks.suspended, marks.suspended_until) for marks in (before.marks, after.marks)]
        if words[0] != words[1] and not _is_asked_about(known, before):
            yield f"what an operator said of {before.name} changed from {words[0]} to {words[1]}"


def _is_asked_about(known: Known, domain: HostDomain) -> bool:
    return known.act is not None and known.act.verb in _OPERATOR_VERBS and known.act.key == vm_of(domain)


def suspended_things_are_left_alone(known: Known, record: StepRecord) -> Iterator[str]:
    """No step, but for the operator's own; a copy that is under way goes on, and trash ages."""
    if known.act is not None and record.name in _OPERATOR_STEPS:
        return
    if record.reason not in ("copy", "note-age") and known.is_everything_suspended(record):
        yield "everything is suspended"
    for before, _ in changed_domains(record):
        if known.is_suspended(before, record):
            yield f"{before.name} is suspended"


OWNER_LAWS = (
    foreign_things_are_untouched,
    everything_is_born_owned,
    an_operators_word_stands,
    suspended_things_are_left_alone,
)
