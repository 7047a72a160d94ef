"""The daemon's process is stopped, continued, ended in the middle of its work, and left without a place for its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

pytestmark = pytest.mark.live


def test_stopped_and_continued_it_catches_up(stated: StateWorld) -> None:
    from tests.live.state.world import small_vm

    os.kill(stated.daemon_pid, signal.SIGSTOP)
    try:
        stated.undefine_idle()
        stated.declare({"asleep.yaml": small_vm("asleep")}, "while it stood still")
        time.sleep(3)
        assert not stated.is_there("asleep")
    finally:
        os.kill(stated.daemon_pid, signal.SIGCONT)
    stated.until("drift is corrected", lambda: stated.is_there("idle"))
    stated.until("the commit is followed", lambda: stated.is_there("asleep"))
    stated.until_settled()


def test_told_to_end_while_it_works_it_ends_and_goes_on_later(stated: StateWorld) -> None:
    from tests.live.state.world import small_vm

    names = [f"many{number:02}" for number in range(12)]
    stated.declare({"many.yaml": "\n---\n".join(map(small_vm, names))}, "many")
    stated.until("it works", lambda: any(map(stated.is_there, names)), every_s=0.02)
    assert stated.stop_daemon() == 0
    made = sum(map(stated.is_there, names))
    stated.start_daemon()
    stated.until("all are there", lambda: all(map(stated.is_there, names)))
    stated.until_settled()
    assert made <= len(names)
    stopped = stated.events("daemon.stopped")[-1]
    assert stopped["drained"] is True


def test_nobody_reads_its_log_and_it_goes_on(stated: StateWorld) -> None:
    assert stated.stop_daemon() == 0
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "reconciler", "--settings", str(stated.settings), "run"]
    stated._daemon = subprocess.Popen(command, stdout=writer, stderr=writer)
    os.close(writer)
    os.close(reader)
    try:
        stated.until("it answers", lambda: stated.ask("status"))
        stated.undefine_idle()
        stated.until("drift is corrected", lambda: stated.is_there("idle"))
    finally:
        stated.again()
        stated.until_settled()
