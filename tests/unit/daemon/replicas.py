"""Several daemons of one owner on one machine, each with a directory of its own below that of their home."""

from __future__ import annotations

import http.client
import subprocess

from tests.unit.daemon.homes import Home
from tests.unit.daemon.test_daemon_process import Process


class Replica(Process):
    """A daemon of a home with a place of its own; ``home`` is what its commands use. Replicas have one state directory, as on a
    volume that all of them mount.
    """

    def __init__(self, home: Home, name: str, started: list[subprocess.Popen[bytes]], **environment: str) -> None:
        directory = home.directory / name
        directory.mkdir()
        own = Home(directory=directory)
        text = home.settings_file.read_text()
        own.settings_file.write_text(text.replace(str(home.directory / "run"), str(directory / "run")))
        super().__init__(own, REPLICA=name, **environment)
        self.name = name
        started.append(self.process)

    def get(self, path: str) -> tuple[int, str]:
        """What it answers over HTTP."""
        host, _, port = self.wait_for("web.started")[-1]["listen"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def post(self, path: str, token: str) -> int:
        """What it answers to a webhook."""
        host, _, port = self.wait_for("web.started")[-1]["listen"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("POST", path, b"{}", {"X-Gitlab-Token": token})
        status = connection.getresponse().status
        connection.close()
        return status
