"""A graceful stop: its grace period begins when the guest can have heard of it, by a clock that nobody sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model.power import PROMPT_S, RunHistory

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ASKED = RunHistory(runs=1).stop_asked("stop", NOW, 1000.0)


def test_a_prompt_stop_counts_from_its_mark() -> None:
    assert ASKED.stop_heard(NOW + timedelta(seconds=0.5), 1000.0 + PROMPT_S / 2) is ASKED


def test_a_stop_that_took_long_to_be_heard_counts_from_then() -> None:
    later = NOW + timedelta(seconds=700)
    heard = ASKED.stop_heard(later, 1700.0)
    assert (heard.stop_requested_at, heard.stop_since_s, heard.stop_asked_by) == (later, 1700.0, "stop")
    assert heard.waited_s(1705.0) == 5.0


def test_without_a_stop_nothing_is_heard() -> None:
    assert RunHistory(runs=1).stop_heard(NOW, 5000.0) == RunHistory(runs=1)
