"""One repository, one daemon process, one host: all of it under an owner, a namespace and a pool of its own."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import libvirt
import libvirt_qemu
import yaml

from demo.fileserver import serve
from reconciler.daemon.control_client import RemoteFaultError, ask
from tests.live.end_to_end.isolated_libvirt import remove_left_over
from tests.live.end_to_end.journal import Correction, corrections_in
from tests.live.end_to_end.manifests import IMAGE

T = TypeVar("T")
PARENT = Path("/var/tmp")
PREFIX = "gitvirt-e2e-"
URI = "qemu:///system"
PATIENCE_S = 120.0  # for what takes a second or two where nothing else runs: the machine is shared, and may stand still
BOOTS_S = 200.0
"""Until an emulated guest's agent answers, with four of them on two cores beside other tests."""
ANSWERS_S = 60
"""Until an agent that is there answers a question, on such a machine."""
PING_S = 5
"""Until one that is not there is asked again."""
SETTLED = "/run/gitvirt/settled"
"""What the demo guest has when its power button is heard and its disks are mounted."""
OUTSIDE = 7
"""Number of the one bridge that is not gitvirt's and that manifests may use."""
_RUN = "run-of"
_SLOW_BYTES_PER_S = 2_000_000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

libvirt.registerErrorHandler(lambda *_: None, None)  # errors come as exceptions


class World:
    """Everything that the tests act on, and ways to look at it from outside and inside."""

    def __init__(self, image: Path, uri: str = URI) -> None:
        self.token = uuid.uuid4().hex[:6]
        self.uri = uri
        self.owner = f"e2e-{self.token}"
        self.namespace = f"e2e{self.token}"
        self.pod_network = f"gitvirt-pod.{self.owner}"
        # QEMU runs as another user and has to get at the disks, which it cannot below a private temporary directory.
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
        self.directory.chmod(0o755)
        (self.directory / _RUN).write_text(f"{os.getpid()} {self.token} {uri}")
        self.work = self.directory / "work"
        self.settings = self.directory / "settings.yaml"
        self.journal = self.directory / "state/journal.git"
        self.connection = libvirt.open(uri)
        self._net = unused_net()
        self._image = image
        self._daemon: subprocess.Popen[bytes] | None = None
        self._servers: list[Any] = []
        self._files: dict[str, str] = {}
        self.domain_names: dict[str, str] = {}
        self._booted: set[tuple[str, int]] = set()

    def open(self) -> None:
        """Serve the image (fast, and slowly), make the repository and the settings, start the daemon."""
        images = self.directory / "images"
        images.mkdir()
        shutil.copy(self._image, images / "demo-guest.qcow2")
        for rate in (None, _SLOW_BYTES_PER_S):
            server = serve(images, rate_bytes_per_s=rate, quiet=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self._servers.append(server)
        self.make_repository()
        self.declare({"image.yaml": IMAGE.format(name="demo-image", url=self.image_url())})
        self.start_daemon()

    def make_repository(self) -> None:
        """An empty one, a work tree of it, and the settings that name it."""
        bare = self.directory / "vms.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), at=self.directory)
        self.git("clone", "--quiet", str(bare), str(self.work), at=self.directory)
        self.git("config", "user.name", "Ada Admin")
        self.git("config", "user.email", "ada@example.org")
        self.git("checkout", "--quiet", "-B", "main")
        self.settings.write_text(yaml.safe_dump(self._settings(bare)))

    def _settings(self, bare: Path) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "identitySeed": self.owner,
            "mode": "enforce",
            "defaultNamespace": self.namespace,
            "defaultPool": f"gve-{self.token}",
            "stateDirectory": str(self.directory / "state"),
            "runtimeDirectory": str(self.directory / "run"),
            "keyFile": str(self.directory / "key"),
            "source": {"url": str(bare), "branch": "main", "interval": "1s", "jitter": "0s"},
            "web": {"listen": "off"},
            "allowedBridges": [self.bridge(OUTSIDE)],
            "imports": {"allowedAddresses": ["127.0.0.1/32"]},
            "log": {"level": "info", "format": "json"},
            "podNetwork": {"bridge": self.bridge(0), "address": self.subnet(0).replace(".0/24", ".1/24")},
            "engine": {
                "libvirt": {
                    "uri": self.uri,
                    "accelerator": "qemu",
                    "consoleLogs": str(self.directory / "consoles"),
                    "defaultPoolTarget": str(self.directory / "pool"),
                }
            },
        }

    def bridge(self, number: int) -> str:
        """The name of a bridge that is this world's own."""
        return f"ge{self.token}{number}"

    def subnet(self, number: int) -> str:
        """A subnet of this world's own; number 0 is the pod network."""
        return f"10.{120 + number}.{self._net}.0/24"

    def image_url(self, *, slow: bool = False) -> str:
        """Where the demo guest's image is."""
        return f"http://127.0.0.1:{self._servers[int(slow)].server_address[1]}/demo-guest.qcow2"

    def start_daemon(self, **environment: str) -> None:
        """`gitvirt run`, as a process that does not outlive this one."""
        with (self.directory / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "--settings", str(self.settings), "run"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509  (one system call)
            )
        self.until("the daemon answers", lambda: self.ask("status"))

    def stop_daemon(self) -> int:
        """SIGTERM; the exit code."""
        assert self._daemon is not None
        self._daemon.terminate()
        return self._daemon.wait(PATIENCE_S)

    def close(self) -> None:
        """Stop everything and remove it."""
        try:
            if self._daemon is not None and self._daemon.poll() is None:
                try:
                    self.stop_daemon()
                except subprocess.TimeoutExpired:
                    self._daemon.kill()
                    self._daemon.wait()
            for server in self._servers:
                server.shutdown()
                server.server_close()
        finally:
            remove_everything(self.connection, self.token)
            self.connection.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Git's answer, in the working copy unless said otherwise."""
        command = ["git", "-C", str(at or self.work), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def declare(self, files: Mapping[str, str | None], message: str = "") -> str:
        """Make these files say so (None: be gone) with one commit, and push it. Nothing happens when they do already.
        Returns the commit.
        """
        own = {name: text and text.replace("$NAMESPACE", self.namespace) for name, text in files.items()}
        changed = {name: text for name, text in own.items() if self._files.get(name) != text}
        for name, text in changed.items():
            if text is None:
                (self.work / name).unlink()
                del self._files[name]
            else:
                (self.work / name).write_text(text)
                self._files[name] = text
        if changed:
            self.git("add", "--all")
            self.git("commit", "--quiet", "--message", message or f"Change {', '.join(changed)}")
            self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD").strip()

    def revert(self) -> None:
        """`git revert` of the last commit, pushed."""
        self.git("revert", "--no-edit", "HEAD")
        self.git("push", "--quiet", "origin", "HEAD:main")
        self._files = {path.name: path.read_text() for path in self.work.glob("*.yaml")}

    def cli(self, *arguments: str, code: int = 0) -> str:
        """What gitvirt's command line says; it has to end with ``code``."""
        ended = subprocess.run(
            [sys.executable, "-m", "reconciler", "--settings", str(self.settings), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            timeout=PATIENCE_S,
        )
        assert ended.returncode == code, f"gitvirt {' '.join(arguments)}: {ended.returncode}\n{ended.stderr}"
        return ended.stdout

    def cli_json(self, *arguments: str) -> Any:
        """The items that a listing command gives as JSON."""
        answer = json.loads(self.cli(*arguments, "-o", "json"))
        return answer["items"] if isinstance(answer, dict) and "items" in answer else answer

    def ask(self, verb: str, **arguments: Any) -> Any:
        """The daemon's answer over its control socket, as commands get it; None while there is no daemon."""
        return ask(self.directory / "run/control.sock", verb, arguments)

    def row(self, name: str, kind: str = "vm") -> Any:
        """One object as `gitvirt get` knows it; None when it is not there."""
        found = self.ask("get", kind=kind, name=name, documents=True)["objects"]
        return found[0] if found else None

    def until(self, what: str, true: Callable[[], T], limit_s: float = PATIENCE_S, every_s: float = 0.25) -> T:
        """Wait for a truth and return it."""
        deadline = time.monotonic() + limit_s
        while not (value := true()):
            if self._daemon is not None and self._daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self._daemon.returncode}: {self.circumstances()}")
            assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}\n{self.circumstances()}"
            time.sleep(every_s)
        return value

    def until_running(self, *names: str) -> None:
        """Running, with an address."""
        for name in names:
            self.until(
                f"{name} runs and has an address",
                lambda name=name: (r := self.row(name)) and r["status"] == "Running" and r["facts"].get("ip"),
                every_s=0.5,
            )

    def until_status(self, name: str, status: str, kind: str = "vm", limit_s: float = PATIENCE_S) -> Any:
        """Wait for a printable status; the row."""
        return self.until(
            f"{name} is {status}", lambda: (r := self.row(name, kind)) and r["status"] == status and r, limit_s, 0.4
        )

    def until_followed(self, limit_s: float = PATIENCE_S) -> None:
        """The last commit is what is wanted: a poll has to come first."""
        commit = self.git("rev-parse", "HEAD").strip()

        def is_followed() -> bool:
            status = self.ask("status")
            return bool(status and (status["revision"] or {}).get("commit") == commit)

        self.until("the last commit is followed", is_followed, limit_s, 0.3)

    def until_settled(self, limit_s: float = PATIENCE_S) -> None:
        """Nothing is left to do or waits, of the last commit."""

        def settled() -> bool:
            try:
                plan = self.ask("plan")
            except RemoteFaultError:  # it cannot look at the host (yet)
                return False
            return not (plan["changes"] or plan["held"] or plan["blocked"])

        self.until_followed(limit_s)
        self.until("nothing is left to do", settled, limit_s, 0.5)

    def reconnect(self) -> None:
        """After libvirtd came back."""
        self.connection = libvirt.open(self.uri)

    def domain(self, name: str) -> Any:
        """The virDomain. One that gitvirt did not make has the name that ``domain_names`` says."""
        return self.connection.lookupByName(self.domain_names.get(name, f"{self.namespace}_{name}"))

    def runs(self, name: str) -> bool:
        """Whether libvirt has it running."""
        try:
            return bool(self.domain(name).isActive())
        except libvirt.libvirtError:
            return False

    def run_of(self, name: str) -> int | None:
        """The number of its run, another after each start; None while it is off. One question, as it may end between two."""
        try:
            return int(self.domain(name).ID())
        except libvirt.libvirtError:
            return None

    def agent(self, name: str, command: Mapping[str, Any], timeout_s: int = ANSWERS_S) -> Any:
        """The guest agent's answer.

        Raises:
            libvirt.libvirtError: it does not answer (yet).
        """
        return json.loads(libvirt_qemu.qemuAgentCommand(self.domain(name), json.dumps(command), timeout_s, 0))["return"]

    def answers(self, name: str) -> bool:
        """Whether the guest's agent answers."""
        try:
            self.agent(name, {"execute": "guest-ping"}, PING_S)
        except libvirt.libvirtError:
            return False
        return True

    def until_agent(self, name: str, limit_s: float = BOOTS_S) -> None:
        """The guest has booted: its agent answers, which may be before its disks are mounted and its power button is heard."""
        self.until(f"the agent of {name} answers", lambda: self.answers(name), limit_s)
        run = name, self.domain(name).ID()
        if run not in self._booted:
            self.until(f"{name} has booted", lambda: self._said(name, f"test -e {SETTLED} && echo yes"), limit_s)
            self._booted.add(run)

    def guest(self, name: str, script: str) -> str:
        """What a shell line in the guest says."""
        self.until_agent(name)
        said = self._said(name, script)
        assert said is not None, f"in {name}: {script!r} failed"
        return said

    def _said(self, name: str, script: str) -> str | None:
        """The same, with no wait for the guest; None when the line fails."""
        arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self.agent(name, {"execute": "guest-exec", "arguments": arguments})["pid"]
        asked = {"execute": "guest-exec-status", "arguments": {"pid": pid}}
        state = self.until(
            f"{script!r} ends in {name}", lambda: (s := self.agent(name, asked))["exited"] and s, every_s=0.05
        )
        said = base64.b64decode(state.get("out-data", "")).decode(errors="replace").strip()
        return said if state.get("exitcode") == 0 else None

    def boot_id(self, name: str) -> str:
        """New at each boot of the guest."""
        return self.guest(name, "cat /proc/sys/kernel/random/boot_id")

    def has_booted_anew(self, name: str, boot_id: str) -> bool:
        """Whether the guest is up with another boot id; a guest on its way down may stop answering at any word."""
        try:
            return self.answers(name) and self.boot_id(name) != boot_id
        except libvirt.libvirtError:
            return False

    def shut_down_inside(self, name: str) -> None:
        """`poweroff` in the guest."""
        self.until_agent(name)
        with suppress(libvirt.libvirtError):
            self.agent(name, {"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}, PING_S)

    def mark(self) -> str:
        """Where the journal stands now."""
        return self.git("rev-parse", "HEAD", at=self.journal).strip()

    def corrected(self, key: str, since: str, limit_s: float = PATIENCE_S) -> Correction:
        """The journal's first entry since a mark that tells how drift of an object was corrected."""

        def told() -> Correction | None:
            log = self.git("log", "--reverse", "--format=%H%x00%B%x01", f"{since}..HEAD", at=self.journal)
            return next((c for c in corrections_in(log) if c.key == key), None)

        return self.until(f"the journal tells that drift of {key} was corrected", told, limit_s, 0.1)

    def key(self, name: str, kind: str = "VirtualMachine") -> str:
        """An object's key, as the journal writes it."""
        return f"{kind}/{self.namespace}/{name}"

    def circumstances(self) -> str:
        """What every object is in, and the end of the daemon's log: for a failure's message."""
        status = self.ask("status") if self._daemon is not None and self._daemon.poll() is None else None
        rows = [f"{r['object']}: {r['status']} {r['state']} {r['message']}" for r in (status or {}).get("objects", ())]
        words = (self.directory / "daemon.log").read_text(errors="replace").splitlines()[-40:]
        return "\n".join([*rows, *words])


def unused_net() -> int:
    """A third number of subnets (10.12x.N) that no interface of this machine has: several worlds are there at once."""
    shown = subprocess.run(["ip", "-4", "-o", "addr"], check=True, capture_output=True, text=True, timeout=60).stdout
    taken = set(map(int, re.findall(r"\binet 10\.12\d\.(\d+)\.", shown)))
    return secrets.choice([number for number in range(256) if number not in taken])


def remove_everything(connection: Any, token: str) -> None:
    """Domains, networks and the pool of one world, whatever state they are in."""
    prefix, owner = f"e2e{token}_", f"e2e-{token}"
    for domain in connection.listAllDomains():
        if domain.name().startswith(prefix):
            persistent = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if persistent:
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    for network in connection.listAllNetworks():
        if network.name().startswith(prefix) or network.name() == f"gitvirt-pod.{owner}":
            persistent = network.isPersistent()
            if network.isActive():
                network.destroy()
            if persistent:
                network.undefine()
    for pool in connection.listAllStoragePools():
        if pool.name().startswith(f"gve-{token}"):
            if pool.isActive():
                pool.destroy()
            pool.undefine()


def sweep_killed_runs() -> None:
    """Remove the worlds of test runs that were killed before they could clean up: their process is gone, and the kernel
    has killed their daemon with it.
    """
    for directory in PARENT.glob(f"{PREFIX}*"):
        try:
            pid, token, uri = (directory / _RUN).read_text().split()
        except (OSError, ValueError):
            continue
        if Path(f"/proc/{pid}").exists() or not re.fullmatch("[0-9a-f]{6}", token):
            continue
        if uri == URI:
            connection = libvirt.open(uri)
            remove_everything(connection, token)
            connection.close()
        remove_left_over(directory / "isolated")
        shutil.rmtree(directory, ignore_errors=True)
