"""What the marks of a domain say of its runs from the next start on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

from nodeexec.libvirt.executor_power import started
from nodeexec.libvirt.marks import DomainMarks
from reconciler.model.live import Marks
from reconciler.model.power import RunHistory, StopReason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = Marks(owner="gitvirt", host="h", revision="r", applied={})


@pytest.mark.parametrize(("ran", "failures"), [(timedelta(minutes=2), 5), (timedelta(days=2), 1)])
def test_a_guest_that_died_after_a_good_run_begins_a_new_row_of_failures(ran: timedelta, failures: int) -> None:
    history = RunHistory(runs=7, failures=4, started_at=NOW - ran, ended_at=NOW)
    marks = DomainMarks(marks=OWN, history=history, end_reason=StopReason.FAILED)
    again = started(marks, None, NOW + timedelta(seconds=40), "boot").history
    assert (again.runs, again.failures, again.started_at) == (8, failures, NOW + timedelta(seconds=40))
