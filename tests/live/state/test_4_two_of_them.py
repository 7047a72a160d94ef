"""Two daemons of one owner, and two owners of one VM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.live.state.world import StateWorld

pytestmark = pytest.mark.live


def other_settings(world: StateWorld, name: str, **changes: Any) -> Path:
    """A second settings file with directories of its own."""
    directory = world.directory / name
    directory.mkdir()
    body = yaml.safe_load(world.settings.read_text())
    for setting in ("stateDirectory", "runtimeDirectory", "keyFile"):
        body[setting] = str(directory / setting)
    (directory / "settings.yaml").write_text(yaml.safe_dump({**body, **changes}))
    return directory / "settings.yaml"


def gitvirt(settings: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", "--settings", str(settings), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_the_second_refuses_however_it_spells_the_host(stated: StateWorld) -> None:
    engine = yaml.safe_load(stated.settings.read_text())["engine"]["libvirt"]
    spelled = {"libvirt": {**engine, "uri": "qemu+unix:///system?socket=/var/run/libvirt/libvirt-sock"}}
    second = gitvirt(other_settings(stated, "spelled", engine=spelled), "run")
    assert second.returncode == 15, second.stderr
    assert f"pid {stated.daemon_pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_after_kill_9_another_begins_at_once(stated: StateWorld) -> None:
    stated.kill_daemon()
    stated.start_daemon()
    stated.until_settled()


def test_a_second_owner_gets_a_problem_and_not_the_vm(stated: StateWorld) -> None:
    settings = other_settings(stated, "rival", owner=f"{stated.owner}-rival", identitySeed="rival")
    told = gitvirt(settings, "apply")
    assert "Traceback" not in told.stderr
    for kind, name in (
        ("VirtualMachine", "steady"),
        ("VirtualMachine", "idle"),
        ("PersistentVolumeClaim", "idle-data"),
    ):
        key = f"{kind}/{stated.namespace}/{name}"
        assert (
            f"blocked {key}: {key} on this host is owned by '{stated.owner}', not by '{stated.owner}-rival'"
            in told.stdout
        )
    assert f"blocked NetworkAttachmentDefinition/{stated.namespace}/lan: " in told.stdout
    stated.ask("reconcile")
    assert stated.ask("plan")["changes"] == []
    assert stated.row("idle")["state"] == "Ready"
