"""Secrets of every kind through the whole of gitvirt, on a host that is simulated: none comes out anywhere."""

from __future__ import annotations

import http.client
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.canary.home import CanaryHome
from tests.canary.manifests import cloud_init, secret, text, vm
from tests.canary.places import ProcessWatch, readable_by_others, repository_objects
from tests.ports import free_port
from tests.unit.daemon.homes import Home, make_home
from tests.unit.daemon.parts import PATIENCE_S, eventually

HARMLESS = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n"


@pytest.fixture
def canary() -> Iterator[CanaryHome]:
    directory = Path(tempfile.mkdtemp(prefix="gitvirt-canary-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield CanaryHome(directory)
    shutil.rmtree(directory)


@pytest.fixture
def daemon(canary: CanaryHome) -> Iterator[tuple[Home, Any]]:
    home = make_home(
        canary.directory,
        {"namespace.yaml": HARMLESS},
        secrets=canary.secrets_settings,
        web={"listen": f"127.0.0.1:{free_port()}"},
        log={"level": "debug", "format": "json"},
    )
    home.repository.chmod(0o700)  # the repository is where users put secrets themselves
    with (canary.directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "--debug", "--settings", str(home.settings_file), "run"],
            stdout=log,
            stderr=log,
            env=dict(canary.environment),
        )
    try:
        yield home, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def web(home: Home, canary: CanaryHome) -> None:
    """Every page, the one that is not there too."""
    for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
        connection = http.client.HTTPConnection("127.0.0.1", home.settings.web.port, timeout=PATIENCE_S)
        connection.request("GET", path)
        canary.said[f"http {path}"] = connection.getresponse().read()
        connection.close()


def accepted(home: Home, canary: CanaryHome, commit: str) -> None:
    """Wait until the daemon works on a commit."""
    eventually(lambda: commit[:12].encode() in canary.ask(home.settings_file, "status", "-o", "json"))


def test_no_canary_is_ever_seen(canary: CanaryHome, daemon: tuple[Home, Any]) -> None:
    home, process = daemon
    with ProcessWatch() as processes:
        first = home.commit(canary.valid("127.0.0.1:1/image.raw"), "valid")
        accepted(home, canary, first)
        canary.ask_about_now(home.settings_file)
        assert b"sealed-inline" in canary.ask(home.settings_file, "get", "all", "-o", "name")
        changed = home.commit(
            {
                "inline.yaml": text(
                    vm("inline", {"seed": cloud_init(canary.canaries.plant("changed userData"))}),
                    secret("login", stringData={"root": canary.canaries.plant("changed password")}),
                ),
                **canary.broken(),
            },
            "changed and broken",
        )
        accepted(home, canary, changed)
        canary.ask_everything(home.settings_file, home.repository, first)
        (canary.host / "age.key").unlink()
        (canary.host / "secrets" / "default" / "hosted" / "userdata").chmod(0o644)
        canary.ask_about_now(home.settings_file)
        web(home, canary)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    canary.ask(home.settings_file, "plan")
    canary.said |= processes.seen
    canary.said["log"] = (canary.directory / "log").read_bytes()
    canary.said["journal"] = repository_objects(home.directory / "state" / "journal.git")
    canary.said["calls of tools"] = b"".join(p.read_bytes() for p in canary.directory.glob("calls"))
    canary.said |= readable_by_others(canary.directory)
    assert len(canary.canaries.values) > 50
    assert b"digest:" in canary.said["journal"]
    assert not stat.S_IMODE((home.directory / "state").stat().st_mode) & 0o077
    canary.assert_unseen()


def test_settings_do_not_quote_secrets_that_stand_where_file_names_belong(canary: CanaryHome) -> None:
    plant = canary.canaries.plant
    settings = canary.directory / "settings.yaml"
    for body in (
        f"source: {{url: 'https://me:{plant('password in source.url')}@host/x.git'}}",
        f"source: {{url: /x, auth: {{tokenFile: {plant('token for tokenFile')}}}}}",
        f"source: {{url: /x, auth: {{token: {plant('token')}}}}}",
        f"keyFile: {plant('key for keyFile')}",
        f"secrets: {{ageKeyFile: {plant('key for ageKeyFile')}}}",
        f"secrets: {plant('text for secrets')}",
        f"source: *{plant('an alias')}",
        f"source: !{plant('a tag')} x",
        f"web: {{webhook: {{secretFile: {plant('secret for secretFile')}}}}}",
        f'secrets: {{ageKeyFile: "{plant("in an open quote")}',
    ):
        settings.write_text(body)
        for command in ("settings", "status"):
            canary.ask(settings, command)
    settings.write_text("{}")
    canary.ask(settings, "settings", "--set", f"source.auth.password={plant('override')}")
    canary.ask(settings, "settings", "--set", f"keyFile={plant('override of keyFile')}")
    canary.assert_unseen()
