"""Two real repositories, one settings file, one daemon."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import eventually
from tests.unit.daemon.test_daemon_process import Process, gitvirt


def follow(home: Home, *sources: dict[str, Any]) -> None:
    """Settings with these sources."""
    body = yaml.safe_load(home.settings_file.read_text())
    body.pop("source", None)
    body["sources"] = [{"interval": "1s", "jitter": "0s", **source} for source in sources]
    home.settings_file.write_text(yaml.safe_dump(body))


def states(home: Home) -> dict[str, tuple[str, str]]:
    """VM → (state, source)."""
    shown = gitvirt(home, "get", "vm", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    return {row["name"]: (row["state"], row["source"]) for row in json.loads(shown.stdout)["items"]}


def told(home: Home) -> str:
    """What `gitvirt status` says."""
    return gitvirt(home, "status").stdout


def test_two_repositories_on_one_host(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = make_home(tmp_path, {"dns.yaml": vm_text("dns"), "web.yaml": vm_text("web")})
    (tmp_path / "team").mkdir()
    shop = make_home(tmp_path / "team", {"vms/db.yaml": vm_text("db")})
    first = shop.git("rev-parse", "HEAD")
    infra = {"name": "infra", "url": str(home.repository)}
    team = {"name": "shop", "url": str(shop.repository), "path": "vms", "namespaces": ["default"]}
    follow(home, infra, team)
    daemon = Process(home)
    started.append(daemon.process)
    daemon.wait_for("change.applied", 7)
    eventually(lambda: states(home) == {"dns": ("Ready", "infra"), "web": ("Ready", "infra"), "db": ("Ready", "shop")})
    (entry,) = json.loads(gitvirt(home, "audit", "--vm", "db", "-o", "json").stdout)["items"]
    assert (entry["revision"], entry["source"]) == (first, "shop")

    # One remote is away: the other goes on, and what came from the first stays enforced.
    away = tmp_path / "moved"
    home.repository.rename(away)
    shop.commit({"vms/db.yaml": vm_text("db", run_strategy="Halted"), "vms/cache.yaml": vm_text("cache")}, "a cache")
    eventually(lambda: states(home).get("cache") == ("Ready", "shop"))
    eventually(lambda: {"infra unreachable", "shop ready"} <= set(re.findall(r"\w+ (?:unreachable|ready)", told(home))))
    assert states(home)["web"] == ("Ready", "infra")
    away.rename(home.repository)

    # The VM that both declare stays with the one it came from; outside its namespaces a source has no say.
    shop.commit(
        {"vms/web.yaml": vm_text("web"), "vms/ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"}, "!"
    )
    expected = {("object-in-two-sources", "shop:vms/web"), ("namespace-not-allowed", "shop:vms/ns")}
    eventually(
        lambda: (
            expected
            <= {(found["code"], found["place"].rpartition(".yaml")[0]) for found in daemon.events("problem.found")}
        )
    )
    assert daemon.end() == 0
