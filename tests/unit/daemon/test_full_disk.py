"""The state directory's disk is full: a daemon goes on, says it, and writes down later what happened."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.control_client import ask
from tests.small_disk import SmallDisk, why_none
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import eventually
from tests.unit.daemon.test_daemon_process import Process, gitvirt


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Home, SmallDisk]]:
    if reason := why_none():
        pytest.skip(reason)
    made = make_home(tmp_path, {"web.yaml": vm_text("web")}, log={"level": "info", "format": "json"})
    disk = SmallDisk(tmp_path / "state", 3)
    yield made, disk
    disk.remove()


def asked(home: Home, verb: str, **arguments: Any) -> Any:
    return ask(home.settings.control_socket, verb, arguments)


def test_it_goes_on_says_it_and_writes_later(
    home: tuple[Home, SmallDisk], started: list[subprocess.Popen[bytes]]
) -> None:
    at, disk = home
    daemon = Process(at)
    started.append(daemon.process)
    daemon.wait_for("change.applied", 3)
    disk.fill()
    report = asked(at, "stop", name="web")
    assert any("No space left" in said for said in report["messages"]), report["messages"]
    eventually(lambda: asked(at, "get", kind="vm", name="web")["objects"][0]["status"] == "Stopped")
    assert any("No space left" in said for said in asked(at, "status")["messages"])
    at.commit({"db.yaml": vm_text("db")}, "while it is full")
    asked(at, "reconcile")
    eventually(lambda: "stays enforced" in asked(at, "status")["source"]["message"])
    disk.free()
    asked(at, "reconcile")
    eventually(lambda: any(e["object"].endswith("/db") for e in daemon.events("change.applied")))
    eventually(lambda: asked(at, "status")["messages"] == [])
    entries = json.loads(gitvirt(at, "audit", "-o", "json").stdout)["items"]
    told = [(entry["action"], entry["result"]) for entry in entries]
    assert ("stop", "asked") in told
    assert ("journal", "late") in told
    assert "could not be written" in " ".join(e["message"].lower() for e in daemon.events("journal.said"))
    assert daemon.end() == 0


def test_full_from_the_start_it_enforces_what_was_accepted(
    home: tuple[Home, SmallDisk], started: list[subprocess.Popen[bytes]]
) -> None:
    at, disk = home
    first = Process(at)
    started.append(first.process)
    first.wait_for("change.applied", 3)
    assert first.end() == 0
    disk.fill()
    second = Process(at)
    started.append(second.process)
    second.wait_for("change.applied", 3)
    assert any("No space left" in said for said in asked(at, "status")["messages"])
    assert second.end() == 0
