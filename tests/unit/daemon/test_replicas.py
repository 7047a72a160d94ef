"""Two daemons of one owner that know of each other through a Lease: one acts, the other stands by and takes over.

The Lease is kept in a file here, under an API server's rules; ``tests/cluster`` has the real one.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import signal
import subprocess
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest
import yaml

from nodeexec.kubevirt.leadership import LeaseLeadership
from nodeexec.kubevirt.lease import Lease, LeaseTimes
from reconciler.daemon.standby import Standby
from reconciler.model.errors import DaemonError
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S, eventually
from tests.unit.daemon.replicas import Replica
from tests.unit.daemon.test_daemon_process import gitvirt
from tests.unit.nodeexec.kubevirt.leases import Road, StoredLease

SITE = """
import os
import time
from datetime import UTC, datetime
from pathlib import Path
import reconciler.wiring_engines as engines
from nodeexec.kubevirt.leadership import LeaseLeadership
from nodeexec.kubevirt.lease import Lease, LeaseTimes
from tests.unit.nodeexec.kubevirt.leases import FiledLease

# Longer than the test: time passes when it says so.
TIMES = LeaseTimes(duration_s=600, act_s=500.0, renew_s=0.5, look_s=0.2)


def elapsed():
    return time.monotonic() + float(Path(os.environ["PASSED"]).read_text())


def leadership(self, clock):
    identity = f"{os.environ.get('REPLICA', 'command')}_{os.getpid()}"
    stored = FiledLease(Path(os.environ["LEASE"]))
    return LeaseLeadership(Lease(stored, identity=identity, now=clock.now, elapsed=elapsed, times=TIMES))


engines._Simulated.leadership = leadership
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Replicas on the simulated engine, whose leadership is put in the place of its lock."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{Path.cwd()}")
    monkeypatch.setenv("LEASE", str(tmp_path / "lease"))
    monkeypatch.setenv("PASSED", str(tmp_path / "passed"))
    (tmp_path / "passed").write_text("0")
    return make_home(
        tmp_path, {"web.yaml": vm_text("web")}, web={"listen": "127.0.0.1:0"}, log={"level": "debug", "format": "json"}
    )


def test_one_acts_another_takes_over_and_the_first_does_nothing_more(
    home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    first = Replica(home, "first", started)
    first.wait_for("change.applied")
    second = Replica(home, "second", started)
    second.wait_for("standby.begun")
    first.wait_for("change.applied", 3)
    assert second.get("/healthz") == (200, "ok\n")
    status, said = second.get("/readyz")
    assert (status, said.split("_")[0]) == (200, "standing by: first")
    assert "gitvirt_leader 0.0" in second.get("/metrics")[1]
    assert "gitvirt_leader 1.0" in first.get("/metrics")[1]
    shown = gitvirt(second.home, "status")
    assert shown.returncode == 0, shown.stderr
    assert "stands by as second_" in shown.stdout
    assert "first_" in shown.stdout
    asked = gitvirt(second.home, "stop", "web")
    assert (asked.returncode, "ask there" in asked.stderr, "Traceback" in asked.stderr) == (16, True, False)
    assert second.events("change.applied") == []
    assert not (second.home.directory / "state").exists()

    # To others, one that stands still is as if it were dead. Then it comes back, and there is something to do.
    stand_still(first, home)
    hours = itertools.count(1)
    eventually(lambda: second.events("leadership.taken") or pass_s(home, next(hours) * 3600))
    second.wait_for("change.applied", 3)
    eventually(lambda: "gitvirt_leader 1.0" in second.get("/metrics")[1])  # one hour more may have to be renewed over
    applied = len(first.events("change.applied"))
    home.commit({"db.yaml": vm_text("db")}, "while nobody looked")
    third = Replica(home, "third", started)
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(PATIENCE_S) == 75
    assert len(first.events("change.applied")) == applied
    assert first.events("leadership.lost")[0]["reason"].startswith("second_")
    eventually(lambda: any(e["object"].endswith("/db") for e in second.events("change.applied")))

    # A good end lets the next one in at once, while the holder's time is not over.
    third.wait_for("standby.begun")
    assert second.end() == 0
    third.wait_for("leadership.taken")
    assert third.end() == 0
    held = json.loads((home.directory / "lease").read_text())["spec"]["holderIdentity"]
    assert held == ""


def stand_still(replica: Replica, home: Home) -> None:
    """Stop a process at a moment when it does not have the lock of the Lease's file: an API server has none to have."""
    with (home.directory / "lease").open() as lease:
        fcntl.flock(lease, fcntl.LOCK_EX)
        replica.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{replica.process.pid}/task")
        eventually(lambda: {stat.read_text().rpartition(")")[2].split()[0] for stat in threads.glob("*/stat")} == {"T"})


def pass_s(home: Home, seconds: int) -> None:
    """So much time has passed since the beginning. Once is not enough for one that stands by: the holder's last renewal
    may be news to it, and then it waits from there.
    """
    (home.directory / "later").write_text(str(seconds))
    (home.directory / "later").rename(home.directory / "passed")


def test_a_push_that_the_one_that_stands_by_is_told_of_is_seen_at_once(
    home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    secret = home.directory / "webhook"
    secret.write_text("a-secret-of-the-webhook\n")
    settings = yaml.safe_load(home.settings_file.read_text())
    settings["web"]["webhook"] = {"secretFile": str(secret)}
    settings["source"] |= {"interval": "1h", "jitter": "0s"}
    home.settings_file.write_text(yaml.safe_dump(settings))
    first = Replica(home, "first", started)
    first.wait_for("change.applied", 3)
    second = Replica(home, "second", started)
    second.wait_for("standby.begun")
    home.commit({"db.yaml": vm_text("db")}, "a push")
    assert second.post("/webhook", "not the secret of it") == 403
    assert second.post("/webhook", "a-secret-of-the-webhook") == 202
    eventually(lambda: any(e["object"].endswith("/db") for e in first.events("change.applied")))
    assert second.events("webhook.passed_on")[0]["leader"].startswith("first_")
    assert second.events("change.applied") == []


def test_standing_by_ends_with_a_signal_and_says_when_it_cannot_know(tmp_path: Path) -> None:
    away: list[str] = []
    lease = StoredLease()
    held = Lease(lease, identity="other", now=lambda: datetime.now(UTC), times=LeaseTimes(duration_s=600))
    assert held.attempt()
    own = Lease(
        Road(lease, lambda: away[0] if away else "", lambda _: None), identity="own", now=lambda: datetime.now(UTC)
    )
    standby = Standby(LeaseLeadership(own), owner="lab")
    signals: SimpleQueue[int] = SimpleQueue()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(standby.wait(Nothing(), [], signals)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reconciler.daemon.standby.handled_signals", nullcontext)
        thread.start()
        eventually(lambda: standby.ready() == (True, "standing by: other leads"))
        away.append("unsent")
        signals.put(signal.SIGHUP)
        eventually(lambda: standby.ready() == (False, "the server cannot be reached"))
        assert standby.alive()[0]
        assert standby.serve("status", {})["messages"] == ["the server cannot be reached"]
        with pytest.raises(DaemonError, match="other leads, ask there"):
            standby.serve("approve", {})
        signals.put(signal.SIGTERM)
        thread.join(PATIENCE_S)
    assert ended == [False]


class Nothing:
    def start(self) -> None: ...
    def stop(self) -> None: ...
