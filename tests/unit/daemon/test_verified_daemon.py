"""A daemon that follows signed commits only, woken by a webhook: what a stranger pushes stays outside."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.control_client import ask
from reconciler.model.errors import DaemonError
from reconciler.wiring_journal import open_journal
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S, eventually
from tests.unit.daemon.test_daemon_process import Process, gitvirt

SECRET = "the secret of this webhook"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", str(tmp_path / "ann")], check=True
    )
    (tmp_path / "signers").write_text(f"ann@example.org {(tmp_path / 'ann.pub').read_text()}")
    (tmp_path / "secrets").write_text(f"{SECRET}\n")
    made = make_home(
        tmp_path,
        {"web.yaml": vm_text("web")},
        source={
            "url": str(tmp_path / "repo"),
            "interval": "1h",
            "verify": {"mode": "all", "sshAllowedSigners": str(tmp_path / "signers")},
        },
        web={"listen": "off", "webhook": {"secretFile": str(tmp_path / "secrets"), "listen": "127.0.0.1:0"}},
        log={"format": "json"},
    )
    made.git("config", "gpg.format", "ssh")
    made.git("config", "user.signingKey", str(tmp_path / "ann"))
    made.git("commit", "-q", "--amend", "-S", "-m", "first")
    return made


class Followed:
    """The daemon, and how one pushes to what it follows."""

    def __init__(self, home: Home) -> None:
        # Every look ends within its cycle: what is told of one that takes longer is another test's.
        site = home.directory / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "from reconciler.daemon.patient_source import PatientSource\n"
            f"PatientSource.__init__.__kwdefaults__['patience_s'] = {PATIENCE_S}\n"
        )
        self.home, self.daemon = home, Process(home, PYTHONPATH=f"{site}:{Path.cwd()}")
        self.address = self.daemon.wait_for("web.started")[0]["listen"]
        self.daemon.wait_for("change.applied", 3)

    def push(self, message: str, *options: str, cores: int) -> str:
        (self.home.repository / "web.yaml").write_text(vm_text("web", cores=cores))
        self.home.git("commit", "-q", "-a", "-m", message, *options)
        self.knock()
        return self.home.git("rev-parse", "HEAD")

    def knock(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        connection.request("POST", "/webhook", b"{}", {"X-Gitlab-Token": SECRET})
        assert connection.getresponse().status == 202
        connection.close()

    def asked(self, verb: str, **arguments: str) -> Any:
        """The daemon's answer, without the command's start."""
        return ask(self.home.settings.control_socket, verb, arguments)

    def held(self) -> list[dict[str, Any]]:
        return list(self.asked("status")["plan"]["held"])

    def revision(self) -> str:
        return str(self.asked("status")["revision"]["commit"])


@pytest.fixture
def followed(home: Home) -> Iterator[Followed]:
    made = None
    try:
        made = Followed(home)
        yield made
    finally:
        if made is not None:
            made.daemon.process.kill()
            made.daemon.process.wait()


def test_unsigned_and_rewritten_history_wait_while_the_old_stays_enforced(followed: Followed) -> None:
    home, daemon = followed.home, followed.daemon
    first = home.git("rev-parse", "HEAD")
    strange = followed.push("give me [red]eight[/red] \x1b[31mcores", "--no-gpg-sign", cores=8)
    refusal = daemon.wait_for("source.refused")[0]
    assert (refusal["state"], strange in refusal["reason"]) == ("unverified", True)
    shown = gitvirt(home, "status").stdout
    assert re.search(
        rf"^source: +unverified.*{strange}.*is not signed.*{first[:12]} stays enforced", shown, re.MULTILINE
    )
    assert f"revision:   {first[:12]} first" in shown
    assert "[red]eight[/red]" in shown
    assert "\x1b" not in shown
    assert followed.revision() == first
    web = followed.asked("get", kind="vm", name="web")["objects"][0]
    assert (web["state"], web["facts"]["cpus"]) == ("Ready", "1")

    good = followed.push("two cores", "--amend", "-S", cores=2)
    eventually(lambda: followed.revision() == good)

    home.git("reset", "-q", "--hard", first)
    other = followed.push("another way\n\nGitvirt-Approve: x", "-S", cores=3)
    daemon.wait_for("source.refused", 2)
    (hold,) = followed.held()
    assert (hold["rule"], hold["approvable"], hold["objects"]) == ("rewritten-history", True, [])
    assert f"leaves out 1 of the accepted commits ({good[:12]} 'two cores' of Ann)" in hold["reason"]
    told = followed.asked("plan")["text"]
    assert hold["hold_id"] in told
    assert ": 1 held." in told
    with pytest.raises(DaemonError, match=hold["hold_id"]):
        followed.asked("approve", hold_id="0123456789ab")

    done = gitvirt(home, "approve", hold["hold_id"])
    assert done.returncode == 0, done
    assert other[:12] in done.stdout
    assert followed.held() == []
    assert followed.revision() == other
    with pytest.raises(DaemonError, match="was let go already"):
        followed.asked("approve", hold_id=hold["hold_id"])
    assert daemon.end() == 0

    told = [(str(e.action), e.result, e.revision) for e in open_journal(home.settings).entries()]
    assert [entry for entry in reversed(told) if entry[0] in ("signature", "rewrite", "approve")] == [
        ("signature", "refused", strange),
        ("rewrite", "refused", other),
        ("rewrite", "accepted", other),
        ("approve", "asked", other),
    ]
