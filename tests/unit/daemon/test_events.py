"""Events: each thing that happens is told once, to those who ask later and to those who wait."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.arguments import Arguments
from reconciler.daemon.cycle_events import CycleEvents, event_of_entry
from reconciler.daemon.event_book import EventBook
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError
from reconciler.model.event import Event, EventType
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Action, Cause, Impact
from reconciler.model.power import StopReason
from reconciler.model.record import AuditEntry
from reconciler.model.revision import SourceState
from tests.unit.daemon.homes import make_home, vm_text
from tests.unit.daemon.parts import NOW, PATIENCE_S, eventually
from tests.unit.daemon.test_cycle import WEB, World
from tests.unit.daemon.test_daemon_process import Process, gitvirt
from tests.unit.planning.building import claim, vm


class Watched(World):
    """A world whose cycles are told as events."""

    def __init__(self) -> None:
        super().__init__()
        self._events = CycleEvents()

    def happened(self, wake: Wake) -> list[Event]:
        report = self.cycle.run(wake)
        return list(self._events.of(report, self.cycle.status()))


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.reason, str(event.object or "")) for event in events]


@pytest.fixture
def world() -> Watched:
    made = Watched()
    made.commit(vm("web") + claim("web-root"))
    return made


def test_each_thing_once(world: Watched) -> None:
    first = world.happened(Wake(fetch=True))
    assert told(first) == [
        ("SourceReady", ""), ("Created", "PodNetwork/pod"), ("Created", "PersistentVolumeClaim/default/web-root"),
        ("Created", str(WEB)),
    ]  # fmt: skip
    assert world.happened(Wake(fetch=True, everything=True)) == []
    world.remote.trouble = SourceState.UNREACHABLE
    (away,) = world.happened(Wake(fetch=True))
    assert (away.reason, away.type, away.message) == (
        "SourceUnreachable",
        EventType.WARNING,
        "the remote did not answer",
    )
    assert world.happened(Wake(fetch=True)) == []


def test_drift_and_what_guests_do(world: Watched) -> None:
    world.happened(Wake(fetch=True))
    world.host.end_guest(WEB, StopReason.DESTROYED)
    assert told(world.happened(Wake(keys=frozenset({WEB})))) == [("DriftCorrected", str(WEB))]
    world.commit(vm("web", strategy="RerunOnFailure") + claim("web-root"))
    world.happened(Wake(fetch=True))
    world.host.end_guest(WEB, StopReason.GUEST)
    (stopped,) = world.happened(Wake(keys=frozenset({WEB})))
    assert (stopped.reason, stopped.message) == ("Stopped", f"Running → Stopped: {StopReason.GUEST}")


def test_faults_and_holds_are_warnings(world: Watched) -> None:
    names = ("web", "db")
    world.commit("".join(vm(name, strategy="Halted") + claim(f"{name}-root") for name in names))
    world.happened(Wake(fetch=True))
    world.commit("# nothing")
    held = world.happened(Wake(fetch=True))
    assert {event.reason for event in held} >= {"Held"}
    assert all(
        event.type is EventType.WARNING and "gitvirt approve" in event.message
        for event in held
        if event.reason == "Held"
    )
    world.commit(vm("web").replace("virtio", "virtoi") + claim("web-root"))
    (problem,) = [event for event in world.happened(Wake(fetch=True)) if event.reason == "Problem"]
    assert problem.type is EventType.WARNING and problem.message.startswith("all.yaml:")


def test_what_a_change_and_its_outcome_both_say_is_told_once(world: Watched) -> None:
    world.commit(
        "apiVersion: cdi.kubevirt.io/v1beta1\nkind: DataVolume\nmetadata: {name: image}\nspec:\n"
        "  source: {http: {url: 'https://images.example.org/a.qcow2'}}\n"
        "  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
    )
    first = world.happened(Wake(fetch=True))
    (message,) = [event.message for event in first if event.reason == "Progressing"]
    assert message.count("https://images.example.org/a.qcow2") == 1


def test_an_entry_of_the_journal_reads_alike() -> None:
    entry = AuditEntry(
        commit="c", at=NOW, cause=Cause.DRIFT, action=Action.UPDATE, key=WEB, impact=Impact.LIVE, result="applied",
        revision="r", author="gitvirt", reason="it was changed by hand",
    )  # fmt: skip
    event = event_of_entry(entry)
    assert (event.reason, event.type, event.message) == ("DriftCorrected", EventType.NORMAL, "it was changed by hand")


def test_who_waits_hears_of_it_at_once(world: Watched) -> None:
    book = EventBook(NOW)
    report = world.cycle.run(Wake(fetch=True))
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(book.serve(Arguments("events", {"wait_s": 20.0}))))
    waiting.start()
    book(report, world.cycle.status())
    waiting.join(60)
    assert [event["reason"] for event in answers[0]["events"]] == ["SourceReady", *["Created"] * 3]
    assert book.serve(Arguments("events", {"after": answers[0]["last"]}))["events"] == []
    with pytest.raises(DaemonError, match="after must be a number"):
        book.serve(Arguments("events", {"after": -1}))


def test_watched_as_a_command_and_asked_when_no_daemon_runs(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")})
    daemon = Process(home)
    started.append(daemon.process)
    daemon.wait_for("change.applied", 3)
    out = tmp_path / "watched"
    with out.open("wb") as stream:
        watching = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "--settings", str(home.settings_file), "events", "-w", "-o", "json"],
            stdout=stream, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    started.append(watching)
    eventually(lambda: "Created" in out.read_text())
    home.commit({"db.yaml": vm_text("db")}, "add db")
    eventually(lambda: "VirtualMachine/default/db" in out.read_text())
    told = out.read_text().count("SourceReady")
    assert daemon.end() == 0
    again = Process(home)
    started.append(again.process)
    eventually(lambda: out.read_text().count("SourceReady") > told)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(PATIENCE_S) == 130
    assert again.end() == 0
    seen = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(datetime.fromisoformat(event["at"]) <= datetime.now(UTC) for event in seen)
    past = gitvirt(home, "events", "--vm", "db", "-o", "json")
    assert {event["reason"] for event in json.loads(past.stdout)["items"]} == {"Created"}
    table = gitvirt(home, "events", "--since", "1d").stdout
    assert table.splitlines()[0].split() == ["TIME", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert str(ObjectKey("VirtualMachine", "default", "web")) in table
