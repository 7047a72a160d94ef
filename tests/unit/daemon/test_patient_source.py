"""Looks at a remote that go on beside the cycle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import pytest

from reconciler.daemon.back_off import BackOff
from reconciler.daemon.clock import SystemClock
from reconciler.daemon.patient_source import PatientSource
from reconciler.model.revision import Revision, Snapshot, SourceState, SourceStatus
from tests.unit.daemon.parts import PATIENCE_S, eventually


class SlowSource:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.looks: list[frozenset[str]] = []
        self.state = SourceState.READY
        self._status = SourceStatus(state=SourceState.NEVER, checked_at=None)

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        self.looks.append(frozenset(approvals))
        assert self.go.acquire(timeout=PATIENCE_S)
        self._status = SourceStatus(state=self.state, checked_at=None, head=str(len(self.looks)))
        return self._status

    def status(self) -> SourceStatus:
        return self._status

    def accepted(self) -> Snapshot | None:
        return None

    def confirm(self, commit: str) -> None:
        del commit

    def refuse(self, commit: str, reason: str) -> bool:
        del commit, reason
        return False

    def read_blob(self, blob: str) -> bytes:
        return blob.encode()

    def revision(self, commit: str) -> Revision | None:
        return None


@pytest.fixture
def slow() -> SlowSource:
    return SlowSource()


@pytest.fixture
def late() -> list[str]:
    return []


@pytest.fixture
def make(slow: SlowSource, late: list[str]) -> Callable[[float], PatientSource]:
    def source(patience_s: float) -> PatientSource:
        return PatientSource(
            slow, name="shop", clock=SystemClock(), on_late=lambda: late.append("now"), patience_s=patience_s
        )

    return source


def test_a_quick_look_ends_within_the_cycle(slow, late, make):
    slow.go.release()
    source = make(PATIENCE_S)
    assert source.fetch().state is SourceState.READY
    assert late == []
    assert source.is_due()


def test_a_slow_look_does_not_hold_the_cycle_up_and_wakes_it_later(slow, late, make):
    source = make(0.05)
    assert source.fetch().state is SourceState.NEVER
    assert not source.is_due(), "the timer does not look twice at a time"
    slow.go.release()
    eventually(lambda: late == ["now"])
    assert source.status().state is SourceState.READY
    assert len(slow.looks) == 1


def test_what_is_asked_meanwhile_is_looked_for_afterwards_once(slow, late, make):
    source = make(0.05)
    source.fetch()
    for approval in ("a", "b"):
        assert source.fetch({approval}).state is SourceState.NEVER
    slow.go.release(2)
    eventually(lambda: late == ["now"])
    assert slow.looks == [frozenset(), frozenset({"a", "b"})]


def test_a_remote_that_failed_is_left_alone_but_not_by_a_person(slow, late, make):
    slow.state = SourceState.UNREACHABLE
    source = make(0.05)
    source.fetch()
    source.fetch()
    slow.go.release()
    eventually(lambda: late == ["now"])
    assert len(slow.looks) == 1, "a failure is not tried again at once"
    assert not source.is_due()
    slow.state = SourceState.READY
    assert source.fetch().state is SourceState.UNREACHABLE
    slow.go.release()
    eventually(lambda: source.status().state is SourceState.READY)
    eventually(source.is_due)


def test_the_spacing_doubles_to_ten_minutes_with_jitter():
    now = [0.0]

    def waited(back_off: BackOff) -> float:
        begun = now[0]
        while not back_off.is_due():
            now[0] += 0.5
        return now[0] - begun

    back_off = BackOff(lambda: now[0])
    assert back_off.is_due()
    for longest in (15, 30, 60, 120, 240, 480, 600, 600):
        back_off.note(failed=True)
        assert longest / 2 <= waited(back_off) <= longest + 0.5
    back_off.note(failed=False)
    assert back_off.is_due()
    many = set()
    for _ in range(5):
        other = BackOff(lambda: now[0])
        other.note(failed=True)
        many.add(waited(other))
    assert len(many) > 1
