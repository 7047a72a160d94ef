"""The stage of the story: a repository, a file server, a daemon, and ways to look at the VMs from outside and inside."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import libvirt
import libvirt_qemu
import yaml

from demo.clean import remove_everything_of
from demo.fileserver import serve

T = TypeVar("T")
OWNER = "gitvirt-story"
NAMESPACE = "story"
URI = "qemu:///system"
PATIENCE_S = 180.0


class StoryError(Exception):
    """The story did not go as it says."""


libvirt.registerErrorHandler(lambda *_: None, None)  # errors come as exceptions; printed too, they only alarm


def say(text: str) -> None:
    print(text, flush=True)


class Stage:
    """Everything the scenes act on."""

    def __init__(self, directory: Path, image: Path) -> None:
        self.directory = directory
        self.work = directory / "vms"
        self.bare = directory / "vms.git"
        self.settings = directory / "settings.yaml"
        self._images = directory / "images"
        self._image = image
        self._daemon: subprocess.Popen[bytes] | None = None
        self._server: Any = None

    def open(self) -> None:
        """Serve the image, make an empty repository, start the daemon on it."""
        self.directory.chmod(0o755)
        self._images.mkdir()
        shutil.copy(self._image, self._images / "demo-guest.qcow2")
        self._server = serve(self._images, quiet=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.image_url = f"http://127.0.0.1:{self._server.server_address[1]}/demo-guest.qcow2"
        git(self.directory, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(self.directory, "clone", "--quiet", str(self.bare), str(self.work))
        for name, value in (("user.name", "Ada Admin"), ("user.email", "ada@example.org")):
            git(self.work, "config", name, value)
        git(self.work, "checkout", "--quiet", "-B", "main")
        document = {
            "owner": OWNER,
            "mode": "enforce",
            "stateDirectory": str(self.directory / "state"),
            "runtimeDirectory": str(self.directory / "run"),
            "keyFile": str(self.directory / "key"),
            "source": {"url": str(self.bare), "branch": "main", "interval": "1s"},
            "web": {"listen": "off"},
            "imports": {"allowedAddresses": ["127.0.0.1/32"]},
            "podNetwork": {"bridge": "gvstory0", "address": "10.79.0.1/24", "dhcpRange": ["10.79.0.10", "10.79.0.250"]},
        }
        self.settings.write_text(yaml.safe_dump(document))

    def start_daemon(self) -> None:
        log = (self.directory / "daemon.log").open("ab")
        self._daemon = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "--settings", str(self.settings), "run"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def close(self, *, keep: bool) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(15)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
        if self._server is not None:
            self._server.shutdown()
        if keep:
            say(f"kept: `virsh -c {URI} list --all`; `make clean-vms` removes it")
        else:
            remove_everything_of(OWNER)

    def show_log(self) -> None:
        log = self.directory / "daemon.log"
        if log.exists():
            say("the daemon's last words:")
            say("\n".join(log.read_text(errors="replace").splitlines()[-40:]))

    def commit(self, message: str, files: dict[str, str | None]) -> str:
        """Write or remove (None) files, commit and push; returns the commit's short hash."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--message", message)
        return self.push()

    def push(self) -> str:
        git(self.work, "push", "--quiet", "origin", "HEAD:main")
        commit = git(self.work, "rev-parse", "--short", "HEAD").strip()
        say(f"  pushed {commit}: {git(self.work, 'log', '-1', '--format=%s').strip()}")
        return commit

    def gitvirt(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "--settings", str(self.settings), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "150", "NO_COLOR": "1"},
            timeout=60,
        )
        if check and done.returncode:
            raise StoryError(f"gitvirt {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def show(self, *arguments: str) -> str:
        """Run gitvirt and print what it prints, as a user would see it."""
        text = self.gitvirt(*arguments)
        say(f"  $ gitvirt {' '.join(arguments)}")
        say("\n".join(f"    {line}" for line in text.rstrip().splitlines()))
        return text

    def vms(self) -> dict[str, dict[str, Any]]:
        answer = json.loads(self.gitvirt("get", "vm", "-o", "json"))
        rows = answer["items"] if isinstance(answer, dict) else answer
        return {row["name"]: row for row in rows}

    def until(self, what: str, probe: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
        """Wait for a truth; say how long it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < patience_s:
            found = probe()
            if found:
                say(f"  ✓ {what} ({time.monotonic() - begun:.1f} s)")
                return found
            time.sleep(0.1)
        raise StoryError(f"not within {patience_s:.0f} s: {what}")

    def until_running(self, *names: str) -> None:
        def all_run() -> bool:
            try:
                rows = self.vms()
            except StoryError:
                return False
            return all(
                name in rows and rows[name]["status"] == "Running" and rows[name]["facts"].get("ip") for name in names
            )

        self.until(f"{', '.join(names)} running, with addresses", all_run)

    def domain(self, name: str) -> Any:
        connection = libvirt.open(URI)
        return connection.lookupByName(f"{NAMESPACE}_{name}")

    def answers(self, name: str) -> str:
        """What the VM's web server says."""
        address = self.vms()[name]["facts"]["ip"]

        def get() -> str | None:
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=3) as response:
                    return str(response.read().decode(errors="replace")).strip()
            except OSError:
                return None

        return self.until(f"{name} answers on http://{address}/", get)

    def in_guest(self, name: str, script: str) -> str:
        """Run a shell line in the guest through its agent."""

        def agent(command: dict[str, Any]) -> Any:
            text = libvirt_qemu.qemuAgentCommand(self.domain(name), json.dumps(command), 10, 0)
            return json.loads(text)["return"]

        def ready() -> bool:
            try:
                agent({"execute": "guest-ping"})
            except libvirt.libvirtError:
                return False
            return True

        if not ready():
            self.until(f"the agent of {name} listens", ready)
        arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = agent({"execute": "guest-exec", "arguments": arguments})["pid"]
        for _ in range(200):
            state = agent({"execute": "guest-exec-status", "arguments": {"pid": pid}})
            if state["exited"]:
                if state.get("exitcode"):
                    raise StoryError(f"in {name}: {script!r} ended with {state['exitcode']}")
                return base64.b64decode(state.get("out-data", "")).decode(errors="replace").strip()
            time.sleep(0.05)
        raise StoryError(f"in {name}: {script!r} does not end")

    def boot_id(self, name: str) -> str:
        return self.in_guest(name, "cat /proc/sys/kernel/random/boot_id")


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout
