"""What the marks of a domain say of its runs from the next start on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

from nodeexec.kernel_times import kernel_time_from
from nodeexec.libvirt.executor_power import started
from nodeexec.libvirt.marks import DomainMarks, from_json, to_json
from nodeexec.libvirt.observe_vms import RESTARTED
from reconciler.model.live import Marks
from reconciler.model.moment import Moment
from reconciler.model.power import RunHistory, StopReason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = Marks(owner="gitvirt", host="h", revision="r", applied={})


def moment(at: datetime) -> Moment:
    return Moment(boot_id="boot", monotonic_s=4000.0, at=at)


@pytest.mark.parametrize(("ran", "failures"), [(timedelta(minutes=2), 5), (timedelta(days=2), 1)])
def test_a_guest_that_died_after_a_good_run_begins_a_new_row_of_failures(ran: timedelta, failures: int) -> None:
    history = RunHistory(runs=7, failures=4, started_at=NOW - ran, ended_at=NOW)
    marks = DomainMarks(marks=OWN, history=history, end_reason=StopReason.FAILED)
    again = started(marks, None, moment(NOW + timedelta(seconds=40))).history
    assert (again.runs, again.failures, again.started_at) == (8, failures, NOW + timedelta(seconds=40))


def test_a_restart_is_noted_by_two_clocks_and_no_other_start_is() -> None:
    asked = RunHistory(runs=1, stop_requested_at=NOW, stop_asked_by="restart")
    restarted = started(DomainMarks(marks=OWN, history=asked), None, moment(NOW))
    again = started(replace(restarted, end_reason=StopReason.GUEST), None, moment(NOW + timedelta(hours=2)))
    for marks in (restarted, again):
        read = from_json(to_json(marks))
        assert isinstance(read, DomainMarks)
        assert read.history.last_restart_at == NOW
        assert kernel_time_from(read.extra[RESTARTED]) == moment(NOW).kernel_time
