"""What people at the host do with a running daemon: they look, and they act by hand; the journal knows who."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.live.end_to_end.hands import AFFECT_CONFIG, STATE_PAUSED, STATE_RUNNING, XML_INACTIVE

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]


def stored_memory(world: World) -> int:
    """MiB that the stored half gives alpha's guest."""
    return (
        int(world.domain("alpha").XMLDesc(XML_INACTIVE).partition("<currentMemory unit='KiB'>")[2].partition("<")[0])
        // 1024
    )


def test_people_see_what_is_true(alpha: World) -> None:
    world = alpha
    table = world.cli("get", "vm")
    assert table.split()[:4] == ["NAMESPACE", "NAME", "STATUS", "READY"]
    (line,) = [line for line in table.splitlines() if " alpha " in line]
    address = world.row("alpha")["facts"]["ip"]
    assert all(word in line for word in (world.namespace, "Running", "True", address, "112Mi"))
    vmi = yaml.safe_load(world.cli("get", "vmi", "alpha", "-o", "yaml"))
    assert (vmi["kind"], vmi["status"]["phase"]) == ("VirtualMachineInstance", "Running")
    assert address in [ip for nic in vmi["status"]["interfaces"] for ip in nic.get("ipAddresses", ())]
    volumes = {row["name"]: row for row in world.cli_json("get", "dv") + world.cli_json("get", "pvc")}
    assert {name: volumes[name]["status"] for name in ("demo-image", "alpha-system", "alpha-data")} == dict.fromkeys(
        ("demo-image", "alpha-system", "alpha-data"), "Succeeded"
    )
    assert "Active" in world.cli("get", "net")
    told = world.cli("describe", "vm", "alpha")
    for words in (f"VirtualMachine/{world.namespace}/alpha", "Running", "Conditions:", "Live:", "journal"):
        assert words in told
    assert "sesame" not in told
    assert "nothing to do" in world.cli("plan")
    world.cli("get", "vm", "nobody", code=1)


def test_the_console_of_a_guest_is_read_from_its_log(alpha: World) -> None:
    text = alpha.until(
        "it has got as far as its login", lambda: (t := alpha.cli("logs", "--vm", "alpha")) and "demo guest" in t and t
    )
    assert "SYSLINUX" in text and "gitvirt demo guest" in text and "\x1b" not in text
    assert len(alpha.cli("logs", "--vm", "alpha", "--tail", "1").splitlines()) == 1


def test_a_paused_guest_stays_paused_until_it_is_resumed(alpha: World) -> None:
    world, boot = alpha, alpha.boot_id("alpha")
    world.cli("pause", "alpha")
    assert world.domain("alpha").state()[0] == STATE_PAUSED
    assert world.row("alpha")["status"] == "Paused"
    world.ask("reconcile")
    assert world.domain("alpha").state()[0] == STATE_PAUSED
    world.cli("resume", "alpha")
    world.until("it goes on", lambda: world.domain("alpha").state()[0] == STATE_RUNNING)
    assert world.boot_id("alpha") == boot


def test_a_suspended_vm_is_left_alone_until_it_is_resumed(alpha: World, corrected: Callable[..., None]) -> None:
    world = alpha
    world.cli("suspend", "alpha", "--reason", "we look into it")
    world.domain("alpha").setMemoryFlags(80 << 10, AFFECT_CONFIG)
    world.ask("reconcile")
    time.sleep(1.0)
    assert stored_memory(world) == 80
    row = world.row("alpha")
    assert row["state"] == "Suspended"
    assert "we look into it" in row["message"]
    mark = world.mark()
    world.cli("resume", "alpha")
    world.until("it is put back", lambda: stored_memory(world) == 112)
    world.until_settled()
    assert "Operator: resume by " in world.git("log", "--format=%B", f"{mark}..HEAD", at=world.journal)


def test_a_restart_and_a_stop_are_graceful_and_kept(alpha: World) -> None:
    world, boot = alpha, alpha.boot_id("alpha")
    mark = world.mark()
    world.cli("restart", "alpha")
    world.until("another boot", lambda: world.has_booted_anew("alpha", boot))
    second = world.boot_id("alpha")
    world.until_settled()
    world.cli("stop", "alpha")
    row = world.until_status("alpha", "Stopped")
    assert row["facts"]["stopped_because"] == "gitvirt"
    world.cli("reconcile")
    assert not world.runs("alpha"), "runStrategy Always outranked the operator"
    world.cli("start", "alpha")
    world.until_running("alpha")
    assert world.boot_id("alpha") != second
    world.cli("resume", "alpha")
    world.until_settled()
    entries: list[Any] = world.cli_json("audit", "--vm", "alpha", "--since", "1h")
    asked = [entry for entry in entries if entry["cause"] == "operator"]
    assert {"restart", "stop", "start", "resume"} <= {entry["action"] for entry in asked}
    assert all(entry["author"] for entry in asked)
    told = world.git("log", "--format=%B", f"{mark}..HEAD", at=world.journal)
    assert "forced guest off" not in told
    assert told.count("pressed power button") >= 2
