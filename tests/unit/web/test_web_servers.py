"""What the settings make HTTP serve, and what a webhook wakes."""

from __future__ import annotations

import http.client
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from reconciler.daemon.log_setup import set_up_logging
from reconciler.daemon.wake import Wake
from reconciler.settings import LogSettings, Settings, load_settings
from reconciler.web.health import Health
from reconciler.web.metrics import Metrics
from reconciler.wiring_web import waking, web_servers
from tests.unit.daemon.parts import PATIENCE_S

pytestmark = pytest.mark.usefixtures("logging_as_before")

SECRET = "a secret that is long enough"


def settings_of(directory: Path, **web: object) -> Settings:
    (directory / "secrets").write_text(SECRET)
    sources = [{"name": name, "url": f"/srv/{name}.git"} for name in ("apps", "infra")]
    (directory / "settings.yaml").write_text(yaml.safe_dump({"sources": sources, "web": web}))
    return load_settings(directory / "settings.yaml")


def post(address: str, path: str, token: str, body: bytes = b"{}") -> int:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("POST", path, body, {"X-Gitlab-Token": token})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("apart", [True, False])
def test_a_webhook_wakes_what_its_path_names(tmp_path: Path, apart: bool) -> None:
    own = {"listen": "127.0.0.1:0"} if apart else {}
    settings = settings_of(tmp_path, listen="127.0.0.1:0", webhook={"secretFile": str(tmp_path / "secrets"), **own})
    out = io.StringIO()
    set_up_logging(LogSettings(format="json"), out)
    woken: list[Wake] = []
    metrics = Metrics(now=lambda: datetime.now(UTC))
    servers = web_servers(settings, Health(is_alive=lambda: True), metrics, waking(woken.append))
    assert [server.has_webhook for server in servers] == ([False, True] if apart else [True])
    try:
        for server in servers:
            server.start()
        address = servers[-1].address
        assert post(address, "/webhook/apps", SECRET) == 202
        assert post(address, "/webhook", SECRET) == 202
        assert post(address, "/webhook/other", SECRET) == 403
        assert post(address, "/webhook", "wrong", b"\x1b[31m the body \x1b]0;x\x07") == 403
        if apart:
            assert post(servers[0].address, "/webhook", SECRET) == 405
    finally:
        for server in servers:
            server.stop()
    assert woken == [Wake(sources=frozenset({"apps"})), Wake(fetch=True)]
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["peer"], said["reason"]) == (
        "webhook.refused", "127.0.0.1", "there is no source of that name"
    )  # fmt: skip


def test_nothing_where_all_is_off(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, listen="off")
    health = Health(is_alive=lambda: True)
    assert web_servers(settings, health, Metrics(now=lambda: datetime.now(UTC)), lambda _: True) == ()
