"""gitvirt as an ordinary user on `qemu:///session`: a throw-away user, a daemon of its own, a real guest."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.fileserver import serve
from reconciler.daemon.control import is_answering
from tests.live.conftest import ROOT

pytestmark = [pytest.mark.live, pytest.mark.slow]

SETTINGS = """\
mode: enforce
source: {{url: {home}/vms.git, branch: main, interval: 1s}}
imports: {{allowedAddresses: ["127.0.0.1/32"]}}
web: {{listen: "off"}}
engine: {{libvirt: {{uri: "qemu:///session", accelerator: qemu}}}}
"""
MANIFESTS = """\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {{name: web-root}}
spec:
  source: {{http: {{url: "{url}"}}}}
  storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 64Mi}}}}}}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: web}}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {{guest: 112Mi}}
        devices:
          disks: [{{name: root, disk: {{bus: virtio}}}}]
          interfaces: [{{name: default, masquerade: {{}}}}]
      networks: [{{name: default, pod: {{}}}}]
      volumes: [{{name: root, dataVolume: {{name: web-root}}}}]
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {{name: lan}}
spec: {{config: '{{"cniVersion": "0.3.1", "type": "bridge", "bridge": "brx"}}'}}
"""


@dataclass
class User:
    """An ordinary user of this machine, for the time of a test."""

    name: str
    home: Path
    python: list[str]

    def environment(self) -> dict[str, str]:
        packages = sysconfig.get_path("purelib")
        return {
            "HOME": str(self.home),
            "USER": self.name,
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "PYTHONPATH": f"{ROOT}:{packages}",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
        }

    def command(self, *command: str) -> list[str]:
        return ["setpriv", "--reuid", self.name, "--regid", self.name, "--init-groups", "--", *command]

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            self.command(*command),
            env=self.environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def gitvirt(self, *arguments: str, code: int = 0) -> str:
        return self.run(*self.python, "-m", "reconciler", *arguments, code=code)

    def virsh(self, *arguments: str) -> str:
        return self.run("virsh", "-q", "-c", "qemu:///session", *arguments)

    def processes(self) -> list[int]:
        uid = pwd.getpwnam(self.name).pw_uid
        return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _uid_of(p) == uid]


def _uid_of(process: Path) -> int:
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return -1


@pytest.fixture
def user() -> Iterator[User]:
    """The user, with nothing in the home directory; gone afterwards with all that was started in its name."""
    missing = [name for name in ("useradd", "userdel", "setpriv", "virsh", "libvirtd") if not shutil.which(name)]
    if os.geteuid() or missing:
        pytest.skip(f"needs root to make a user{f', and {missing}' if missing else ''}")
    name = f"gvs{uuid.uuid4().hex[:8]}"
    home = Path("/var/tmp") / name
    subprocess.run(["useradd", "--create-home", "--home-dir", str(home), "--shell", "/bin/sh", name], check=True)
    made = User(name=name, home=home, python=[])
    try:
        made.run("mkdir", "-m", "700", "run")
        made.python = [_python(made)]
        yield made
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in made.processes():
                os.kill(pid, number)
            deadline = time.monotonic() + 20
            while made.processes() and time.monotonic() < deadline:
                time.sleep(0.1)
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _python(user: User) -> str:
    """An interpreter of this version that the user may run: this one can lie below root's home directory."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}"):
        command = user.command(candidate, "-c", "import libvirt, pygit2, typer")
        if subprocess.run(command, env=user.environment(), capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"an ordinary user can run no {version} here that finds gitvirt's libraries")


def until(what: str, true: Callable[[], Any], limit_s: float = 120.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.4)
    return value


def test_an_ordinary_user_has_a_vm_from_a_repository(user: User, demo_image: Path) -> None:
    server = serve(demo_image.parent, rate_bytes_per_s=None, quiet=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/{demo_image.name}"
    config = user.home / ".config/gitvirt"
    user.run("mkdir", "-p", str(config))
    (config / "settings.yaml").write_text(SETTINGS.format(home=user.home))
    user.run("git", "init", "-q", "--bare", "-b", "main", "vms.git")
    user.run("git", "clone", "-q", "vms.git", "vms")
    (user.home / "vms/all.yaml").write_text(MANIFESTS.format(url=url))
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    user.run("git", "-C", "vms", "add", "--all")
    user.run("git", "-C", "vms", *identity, "commit", "-q", "-m", "a VM of mine")
    user.run("git", "-C", "vms", "push", "-q", "origin", "HEAD:main")
    told = user.gitvirt("doctor", code=0)
    assert "session" in told and "nothing reaches in" in told and "dnsmasq" not in told

    with (user.home / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            user.command(*user.python, "-m", "reconciler", "run"),
            env=user.environment(),
            cwd=user.home,
            stdout=log,
            stderr=log,
        )
    try:
        socket = user.home / "run/gitvirt/control.sock"
        until("the daemon answers", lambda: is_answering(socket))

        def facts(name: str, kind: str = "vm") -> Any:
            answer = json.loads(user.gitvirt("get", kind, name, "-o", "json"))
            return answer["items"][0] if "items" in answer else answer

        until("the guest's agent tells its address", lambda: "10.0.2.15" in str(facts("web")))
        assert "networks cannot be made here" in str(facts("lan", "net"))
        assert "<interface type='user'>" in user.virsh("dumpxml", "default_web")
        disk = user.home / ".local/share/gitvirt/images/default_web-root.qcow2"
        assert b'"owner":"gitvirt"' in os.getxattr(disk, "user.gitvirt")
        assert (user.home / ".config/gitvirt/key").stat().st_mode & 0o077 == 0
        assert (user.home / ".local/state/gitvirt/consoles/default_web.log").exists()

        user.virsh("setmem", "default_web", "100M", "--config")
        until(
            "the stored memory is put right",
            lambda: "<currentMemory unit='KiB'>114688<" in user.virsh("dumpxml", "--inactive", "default_web"),
        )
        daemon.terminate()
        assert daemon.wait(90) == 0
        assert "running" in user.virsh("list")
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
        server.shutdown()
        server.server_close()
