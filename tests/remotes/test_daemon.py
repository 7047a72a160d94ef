"""The daemon beside real servers: where a password shows (nowhere), and what a server that hangs can hold up (nothing)."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from reconciler.daemon.control_client import ask
from reconciler.model.errors import DaemonError
from reconciler.wiring_journal import open_journal
from tests.remotes.broken import raw_server
from tests.remotes.processes import program
from tests.remotes.web import PASSWORD, USER
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S, eventually
from tests.unit.journal.building import git


@contextmanager
def daemon(home: Home, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (home.directory / "log").open("wb") as log, (home.directory / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "run", "--settings", str(home.settings_file)],
            stdout=out,
            stderr=log,
            env={**os.environ, **environment},
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def gitvirt(home: Home, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments, "--settings", str(home.settings_file)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.stdout + done.stderr


def asked(home: Home, verb: str) -> str:
    """What the daemon answers; empty until it does."""
    with suppress(DaemonError):
        return json.dumps(ask(home.settings.control_socket, verb, {}), default=str)
    return ""


class ProcessWatch:
    """Reads the arguments and the environment of a process and of all that it starts, for as long as it lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._seen: dict[int, bytes] = {}
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            for pid in self._family():
                with suppress(OSError):
                    said = Path(f"/proc/{pid}/cmdline").read_bytes() + b"\n" + Path(f"/proc/{pid}/environ").read_bytes()
                    self._seen[pid] = self._seen.get(pid, b"") + (b"" if said in self._seen.get(pid, b"") else said)

    def _family(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            with suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        return found

    def everything(self) -> bytes:
        return b"\n".join(self._seen.values())


class Written:
    """A ``git`` that goes before the real one and writes its arguments and its environment down: it lasts for milliseconds, and a
    watch on a busy machine looks away.
    """

    def __init__(self, directory: Path) -> None:
        self._seen = directory / "seen"
        self._seen.mkdir(parents=True)
        script = f'#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ > "{self._seen}/$$"\nexec {program("git")} "$@"\n'
        (directory / "git").write_text(script)
        (directory / "git").chmod(0o755)
        self.path = f"{directory}:{os.environ['PATH']}"

    def everything(self) -> bytes:
        return b"\n".join(path.read_bytes() for path in self._seen.iterdir())


def secrets_in(data: bytes) -> list[bytes]:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    return [secret for secret in (PASSWORD.encode(), pair) if secret in data]


@pytest.fixture
def children(tmp_path) -> Written:
    return Written(tmp_path / "children")


@pytest.fixture
def home(tmp_path, upstream, web, authority) -> Home:
    upstream.commit({"vms/web.yaml": vm_text("web")})
    upstream.git("push", "-q", "origin", "main")
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    source = {
        "url": web.url("basic", upstream.served), "interval": "1s", "jitter": "0s", "caFile": str(authority.certificate),
        "auth": {"username": USER, "passwordFile": str(password)},
    }  # fmt: skip
    (tmp_path / "home").mkdir()
    return make_home(tmp_path / "home", {"x.yaml": ""}, source=source, log={"level": "debug", "format": "json"})


def test_a_password_is_shown_nowhere(home, upstream, tmp_path, children):
    with daemon(home, PATH=children.path) as process, ProcessWatch(process.pid) as watch:
        eventually(lambda: "web" in asked(home, "get"))
        commit = upstream.commit({"vms/db.yaml": vm_text("db")})
        upstream.git("push", "-q", "origin", "main")
        eventually(lambda: commit in asked(home, "status"))
        (tmp_path / "password").write_text(f"{PASSWORD}-wrong")
        eventually(lambda: "does not accept the credentials" in asked(home, "status"))
        shown = "".join(asked(home, verb) for verb in ("status", "get", "plan"))
        shown += "".join(gitvirt(home, *command) for command in (["settings"], ["doctor"], ["audit"]))
    assert b"index-pack" in children.everything(), "the children were seen"
    assert str(home.settings_file).encode() in watch.everything(), "the daemon was seen"
    assert secrets_in(watch.everything() + children.everything()) == []
    assert commit in shown
    assert secrets_in(shown.encode()) == []
    files = [path for path in home.directory.rglob("*") if path.is_file()]
    assert {"log", "out", "HEAD", "settings.yaml"} <= {path.name for path in files}
    assert [path for path in files if secrets_in(path.read_bytes())] == []


def test_a_remote_that_hangs_holds_nothing_up(home, web):
    """After a restart, too: the last accepted revision is enforced while nobody answers."""
    answers = threading.Event()
    answers.set()

    def relay(connection, stop):
        if answers.is_set():
            with socket.create_connection(("127.0.0.1", web.https_port)) as beyond:
                pairs = {connection: beyond, beyond: connection}
                while not stop.is_set() and answers.is_set():
                    for one in select.select(list(pairs), [], [], 0.05)[0]:
                        if not (data := one.recv(65536)):
                            return
                        pairs[one].sendall(data)
        stop.wait(60)

    with raw_server(relay) as port:
        text = home.settings_file.read_text().replace(f":{web.https_port}/", f":{port}/")
        home.settings_file.write_text(text)
        with daemon(home):
            eventually(lambda: "web" in asked(home, "get"))
        answers.clear()
        with daemon(home):
            eventually(lambda: "web" in asked(home, "get"))
            eventually(lambda: "under way since" in asked(home, "status"))
            begun = time.monotonic()
            for _ in range(20):
                asked(home, "reconcile")
            assert time.monotonic() - begun < 20


def test_a_journal_that_is_pushed_outlives_the_state_directory_and_shows_no_password(
    home, upstream, repositories, web, children
):
    served, branch = repositories / upstream.served, "refs/heads/journal/lab"
    settings = yaml.safe_load(home.settings_file.read_text())
    reach = {name: settings["source"][name] for name in ("caFile", "auth")}
    settings["journal"] = {"push": {"url": web.url("basic", upstream.served), "branch": "journal/lab", **reach}}
    home.settings_file.write_text(yaml.safe_dump(settings))

    def pushed() -> int:
        return len(git(served, "for-each-ref", branch) and git(served, "log", "--format=%H", branch).split())

    def told() -> list[str]:
        return [entry.action for entry in open_journal(home.settings).entries(vm="web")]

    with daemon(home, PATH=children.path) as process, ProcessWatch(process.pid) as watch:
        eventually(lambda: pushed() > 0 and "create" in told())
        first = told()
        here = git(home.directory / "state/journal.git", "rev-parse", "main").strip()
        eventually(lambda: here in git(served, "log", "--format=%H", branch))
    assert b"pack-objects" in children.everything(), "the children were seen"
    assert secrets_in(watch.everything() + children.everything() + (home.directory / "log").read_bytes()) == []
    before = pushed()
    shutil.rmtree(home.directory / "state")
    with daemon(home):
        # A simulated host forgets everything, so that the VM is made again; what went before is there all the same.
        eventually(lambda: pushed() > before and len(told()) > len(first))
    assert '"journal.taken"' in (home.directory / "log").read_text()
    assert told()[-len(first) :] == first
    assert git(served, "rev-list", "--merges", branch) == ""
