"""Health and metrics over real HTTP."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.model.errors import RequirementError
from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Cause, Change, Impact, Plan
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.record import AppliedChange, CycleRecord
from reconciler.model.revision import SourceState, SourceStatus
from reconciler.model.status import ObjectState, ObjectStatus
from reconciler.web.health import Health
from reconciler.web.metrics import Metrics
from reconciler.web.server import WebServer
from tests.unit.daemon.parts import PATIENCE_S, eventually

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WEB = ObjectKey("VirtualMachine", "default", "web")


class Site:
    """A server on a free port, with what stands behind it."""

    def __init__(self) -> None:
        self.alive = True
        self.health = Health(is_alive=lambda: self.alive)
        self.metrics = Metrics(now=lambda: NOW)
        self.server = WebServer(host="127.0.0.1", port=0, health=self.health, metrics=self.metrics)

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body."""
        host, _, port = self.server.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def value(self, name: str, **labels: str) -> float | None:
        """One sample."""
        for family in text_string_to_metric_families(self.ask("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    made.server.start()
    yield made
    made.server.stop()


def feed(site: Site, *, applied: tuple[AppliedChange, ...] = (), problems: tuple[Problem, ...] = ()) -> None:
    record = CycleRecord(
        started_at=NOW, ended_at=NOW + timedelta(seconds=2), applied=applied,
        detected_at=NOW - timedelta(seconds=1),
    )  # fmt: skip
    site.metrics.cycle_ended(
        record=record,
        plan=Plan(plan_id="1", revisions={}, changes=()),
        sources={"": SourceStatus(state=SourceState.UNREACHABLE, checked_at=NOW - timedelta(seconds=30))},
        problems=problems,
        objects=(
            ObjectStatus(key=WEB, state=ObjectState.READY, printable_status="Running"),
            ObjectStatus(key=WEB._replace(name="db"), state=ObjectState.FAILED, printable_status="Stopped"),
        ),
    )


def test_ready_only_after_a_good_cycle(site: Site) -> None:
    assert site.ask("/healthz") == (200, "ok\n")
    assert site.ask("/readyz") == (503, "no cycle has ended yet\n")
    site.health.cycle_ended()
    assert site.ask("/readyz") == (200, "ok\n")
    site.health.cycle_ended("libvirt\ncannot be reached\x1b[0m")
    status, said = site.ask("/readyz")
    assert status == 503
    assert said.startswith("libvirt cannot be reached")
    assert "\x1b" not in said
    site.alive = False
    assert site.ask("/healthz")[0] == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/readyz", "/api/stop", "/"])
def test_http_changes_nothing(site: Site, method: str, path: str) -> None:
    assert site.ask(path, method)[0] == 405


def test_head_has_no_body_and_the_rest_is_not_found(site: Site) -> None:
    assert site.ask("/healthz", "HEAD") == (200, "")
    assert site.ask("/healthz?x=1")[0] == 200
    assert site.ask("/../etc/passwd")[0] == 404


def test_metrics_count_what_happened(site: Site) -> None:
    change = Change(
        key=WEB, action=Action.UPDATE, cause=Cause.DRIFT, impact=Impact.LIVE, reason="r", expected="", revision=""
    )
    applied = AppliedChange(
        change=change, outcome=Outcome(result=Result.APPLIED), started_at=NOW, ended_at=NOW + timedelta(seconds=0.5)
    )
    fault = Problem(code="x", severity=Severity.ERROR, place=Place("a.yaml"), message="m")
    feed(site, applied=(applied,), problems=(fault,))
    site.metrics.cycle_failed()
    assert site.value("gitvirt_cycles_total", result="ok") == 1
    assert site.value("gitvirt_cycles_total", result="failed") == 1
    assert site.value("gitvirt_changes_total", kind="VirtualMachine", action="update", result="applied") == 1
    assert site.value("gitvirt_drift_corrected_total", kind="VirtualMachine") == 1
    assert site.value("gitvirt_drift_correction_seconds_sum") == 1.5
    assert site.value("gitvirt_problems", severity="error") == 1
    assert site.value("gitvirt_vms", status="Running") == 1
    assert site.value("gitvirt_objects", kind="VirtualMachine", state="Failed") == 1
    assert site.value("gitvirt_source_state", source="", state="unreachable") == 1
    assert site.value("gitvirt_source_state", source="", state="ready") == 0
    assert site.value("gitvirt_source_checked_age_seconds", source="") == 30


def test_no_label_holds_a_name_from_the_repository(site: Site) -> None:
    feed(site)
    assert "web" not in site.ask("/metrics")[1]


def test_too_many_connections_do_not_pile_up(site: Site) -> None:
    host, _, port = site.server.address.rpartition(":")
    idle = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(40)]
    try:
        eventually(lambda: len(select.select(idle, [], [], 0)[0]) >= 8)  # nothing is sent: what can be read is an end
        assert {connection.recv(1) for connection in select.select(idle, [], [], 0)[0]} == {b""}
    finally:
        for connection in idle:
            connection.close()


def test_an_address_in_use_is_one_clear_sentence(site: Site) -> None:
    port = int(site.server.address.rpartition(":")[2])
    again = WebServer(host="127.0.0.1", port=port, health=site.health, metrics=site.metrics)
    with pytest.raises(RequirementError, match=r"web\.listen: off"):
        again.start()


def test_what_needs_an_eye_is_a_gauge(site: Site) -> None:
    feed(site)
    assert site.value("gitvirt_suspended") == 0
    assert site.value("gitvirt_cycle_last_success_timestamp_seconds") == (NOW + timedelta(seconds=2)).timestamp()
    record = CycleRecord(started_at=NOW, ended_at=NOW)
    source = SourceStatus(state=SourceState.READY, checked_at=NOW)
    site.metrics.cycle_ended(
        record=record, plan=None, sources={"": source}, problems=(), objects=(), suspended=True, journal_failing=True
    )
    assert (site.value("gitvirt_suspended"), site.value("gitvirt_journal_failing")) == (1, 1)
    assert "_created" not in site.ask("/metrics")[1]
