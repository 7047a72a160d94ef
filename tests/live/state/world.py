"""A small world for what happens to gitvirt itself: a guest that runs and boots nothing, a VM that is off, no images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.live.end_to_end.manifests import claim, network
from tests.live.end_to_end.world import PATIENCE_S, World
from tests.live.killed.fleet import bare_vm
from tests.log_lines import log_lines

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def small_vm(name: str, strategy: str = "Halted", *, memory: str = "64Mi") -> str:
    """A VM with a blank disk and cloud-init data, on no network."""
    vm = bare_vm(name, strategy, disks=(f"{name}-data",), memory=memory, plugged=False)
    return f"{vm}---\n{claim(f'{name}-data', '8Mi')}"


class StateWorld(World):
    """As any world, with a daemon to which more can be done."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.state, self.run, self.key_file = (self.directory / name for name in ("state", "run", "key"))
        self.bare, self.log = self.directory / "vms.git", self.directory / "daemon.log"

    def open(self) -> None:
        """One guest that runs, one that is off, one network."""
        self.make_repository()
        self.declare(
            {
                "steady.yaml": small_vm("steady", "Always"),
                "idle.yaml": small_vm("idle"),
                "lan.yaml": network("lan", self.bridge(1), self.subnet(1)),
            }
        )
        self.start_daemon()
        self.until("the guest runs", lambda: self.runs("steady"))
        self.until_settled()

    def facts(self) -> dict[str, Any]:
        """What must not change whatever becomes of gitvirt: the guest's process, every definition, every disk."""
        pid = int(Path(f"/run/libvirt/qemu/{self.namespace}_steady.pid").read_text())
        os.kill(pid, 0)
        own = [d for d in self.connection.listAllDomains() if d.name().startswith(self.namespace)]
        uuids = {domain.name(): domain.UUIDString() for domain in own}
        disks = {path.name: path.stat().st_ino for path in (self.directory / "pool").glob("*.qcow2")}
        return {"pid": pid, "domains": uuids, "disks": disks}

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of the log that tell one event."""
        return [said for said in log_lines(self.log) if said["event"] == name]

    def until_told(self, name: str, count: int = 1, limit_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Those lines, once there are enough."""
        return self.until(
            f"the log tells {name}", lambda: f if len(f := self.events(name)) >= count else None, limit_s, 0.1
        )

    def kill_daemon(self) -> None:
        """``kill -9``."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    @property
    def daemon_pid(self) -> int:
        """The daemon's process."""
        assert self._daemon is not None
        return self._daemon.pid

    def again(self, **environment: str) -> None:
        """Stop the daemon and start it anew."""
        assert self.stop_daemon() == 0
        self.start_daemon(**environment)

    def told(self) -> str:
        """What `gitvirt status` says, as a person reads it: notes come on standard error."""
        command = [sys.executable, "-m", "reconciler", "--settings", str(self.settings), "status"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.stdout + done.stderr

    def notes(self) -> str:
        """What is wrong, as the daemon tells it."""
        return "\n".join(self.ask("status")["messages"])

    def audit(self) -> list[dict[str, Any]]:
        """What `gitvirt audit` tells, newest first."""
        return list(self.cli_json("audit"))

    def journal_says(self, form: str = "%s") -> str:
        """The whole journal, as plain git tells it; empty before its first commit."""
        command = ["git", "-C", str(self.journal), "-c", "safe.directory=*", "log", f"--format={form}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.stdout if done.returncode == 0 else ""

    def delete_state(self) -> None:
        """``rm -rf``, as often as it takes while a daemon writes there."""
        moved = self.state.with_name("deleted")
        self.state.rename(moved)
        self.until(
            "the state directory is deleted", lambda: shutil.rmtree(moved, ignore_errors=True) or not moved.exists()
        )

    def set_settings(self, **changes: Any) -> None:
        """Other settings from the next start on."""
        import yaml

        self.settings.write_text(yaml.safe_dump({**yaml.safe_load(self.settings.read_text()), **changes}))

    def undefine_idle(self) -> None:
        """Somebody removes the VM that is off by hand."""
        self.domain("idle").undefine()

    def is_there(self, name: str) -> bool:
        """Whether libvirt has the domain."""
        return any(domain.name() == f"{self.namespace}_{name}" for domain in self.connection.listAllDomains())
