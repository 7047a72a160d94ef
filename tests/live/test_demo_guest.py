"""The demo guest under plain QEMU emulation: boots, obeys cloud-init, answers its agent, keeps its disks."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import itertools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "demo" / "guest" / "build"
GENEROUS_S = 90.0

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

USER_DATA = """\
#cloud-config
hostname: web-1
password: sesame-1
chpasswd: {expire: false}
write_files:
- path: /etc/greeting
  content: |
    good morning
  permissions: '0600'
runcmd:
- echo "mark:$(hostname):$(cat /etc/greeting):$(stat -c %a /etc/greeting)" > /dev/ttyS0
- [sh, -c, 'for n in $(seq 60); do grep -q " /data " /proc/mounts && break; sleep 1; done']
- test -e /data/kept && echo "kept:$(cat /data/kept):$(cat /persist/kept)" > /dev/ttyS0
- echo from-first-boot > /data/kept; echo on-root > /persist/kept; echo written-now > /dev/ttyS0
"""


def seed_iso(path: Path, user_data: str) -> None:
    """A NoCloud medium, made the way the engine makes it."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for name, content in (("user-data", user_data), ("meta-data", "instance-id: i-1\nlocal-hostname: other\n")):
        data = content.encode()
        short = name.replace("-", "").upper()[:8]
        iso.add_fp(io.BytesIO(data), len(data), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


class Machine:
    """One emulated machine with its serial log, its monitor and its agent channel."""

    def __init__(self, directory: Path, arguments: list[str], memory_mib: int = 96) -> None:
        self.directory = directory
        self.serial = directory / "serial.log"
        self.serial.unlink(missing_ok=True)
        self.started_s = time.monotonic()
        self._numbers = itertools.count(1)
        self.process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=64", "-m", str(memory_mib),
                "-nodefaults", "-display", "none", "-serial", "chardev:serial",
                "-chardev", f"socket,id=serial,path={directory}/console,server=on,wait=off,logfile={self.serial}",
                "-qmp", f"unix:{directory}/qmp,server=on,wait=off",
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={directory}/agent,server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def text(self) -> str:
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait_for(self, words: str, line: socket.socket | None = None) -> float:
        """Seconds after power-on at which the serial console showed the words; an open `line` is kept empty meanwhile."""
        deadline_s = time.monotonic() + GENEROUS_S
        while time.monotonic() < deadline_s:
            if words in self.text():
                return time.monotonic() - self.started_s
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                pytest.fail(f"QEMU ended: {self.process.stderr.read().decode()}")
            if line is not None:
                # A full line would stop the guest's serial port, and with it the log that is read here.
                with contextlib.suppress(BlockingIOError):
                    line.recv(65536)
            time.sleep(0.1)
        pytest.fail(f"{words!r} did not appear on the serial console within {GENEROUS_S} s:\n{self.text()[-2000:]}")

    def log_in(self, user: str, password: str) -> None:
        """Log in on the serial console and ask who we are; the answer is for `wait_for`."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.directory / "console"))
            line.setblocking(False)
            for words, prompt in ((user, "Password:"), (password, f"{user}@"), ("echo i-am-$(id -un)", "i-am-" + user)):
                line.sendall(words.encode() + b"\n")
                self.wait_for(prompt, line)

    def monitor(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            channel.connect(str(self.directory / "qmp"))
            lines = channel.makefile("rw")
            json.loads(lines.readline())
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                lines.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
                while "event" in answer:
                    answer = json.loads(lines.readline())
            assert "return" in answer, answer
            return answer["return"]

    def agent(self, command: str, **arguments: Any) -> Any:
        """Ask the guest agent, again and again until it listens. A number comes first and comes back: what was asked before it
        listened it answers as well, to whoever is there by then.
        """
        deadline_s = time.monotonic() + GENEROUS_S
        while time.monotonic() < deadline_s:
            with socket.socket(socket.AF_UNIX) as channel, contextlib.suppress(TimeoutError):
                channel.settimeout(3)
                channel.connect(str(self.directory / "agent"))
                lines = channel.makefile("r")
                number = next(self._numbers)
                channel.sendall(json.dumps({"execute": "guest-sync", "arguments": {"id": number}}).encode() + b"\n")
                while json.loads(lines.readline()) != {"return": number}:
                    pass
                channel.settimeout(GENEROUS_S)
                channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
                answer = json.loads(lines.readline())
                assert "return" in answer, answer
                return answer["return"]
        pytest.fail(f"the guest agent did not answer {command} within {GENEROUS_S} s:\n{self.text()[-2000:]}")

    def run(self, command: str) -> str:
        """Run a shell command in the guest through its agent; its output."""
        pid = self.agent("guest-exec", path="/bin/sh", arg=["-c", command], **{"capture-output": True})["pid"]
        deadline_s = time.monotonic() + GENEROUS_S
        while time.monotonic() < deadline_s:
            status = self.agent("guest-exec-status", pid=pid)
            if status["exited"]:
                return base64.b64decode(status.get("out-data", "")).decode()
            time.sleep(0.1)
        pytest.fail(f"{command!r} did not end within {GENEROUS_S} s")

    def power_button(self) -> None:
        """Press until the guest is off: a press before the guest listens is lost."""
        deadline_s = time.monotonic() + GENEROUS_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError, ValueError):
                self.monitor("system_powerdown")
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert self.process.wait(timeout=5) == 0
                return
        pytest.fail(f"the guest did not honour the power button within {GENEROUS_S} s:\n{self.text()[-2000:]}")

    def pull_the_plug(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built image; a copy when the cache has it."""
    output = tmp_path_factory.mktemp("image") / "demo-guest.qcow2"
    done = subprocess.run([str(BUILD), str(output)], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    path, size, digest = done.stdout.split()
    assert (Path(path), int(size)) == (output, output.stat().st_size)
    assert digest == "sha256:" + hashlib.sha256(output.read_bytes()).hexdigest()
    return output


@contextlib.contextmanager
def running(directory: Path, arguments: list[str], memory_mib: int = 96) -> Iterator[Machine]:
    machine = Machine(directory, arguments, memory_mib)
    try:
        yield machine
    finally:
        machine.pull_the_plug()


def until(true: Callable[[], bool], otherwise: str) -> None:
    deadline_s = time.monotonic() + GENEROUS_S
    while not true():
        assert time.monotonic() < deadline_s, otherwise
        time.sleep(0.2)


def disk(path: Path) -> list[str]:
    return ["-drive", f"file={path},if=virtio,format=qcow2,discard=unmap"]


def own_copy(image: Path, directory: Path) -> Path:
    return Path(shutil.copyfile(image, directory / "root.qcow2"))


def test_image_is_small_and_a_second_build_is_a_copy(image: Path, tmp_path: Path) -> None:
    assert image.stat().st_size < 40_000_000
    again = tmp_path / "again.qcow2"
    done = subprocess.run([str(BUILD), str(again)], capture_output=True, text=True, timeout=60, check=True)
    assert "==>" not in done.stderr
    assert again.read_bytes() == image.read_bytes()


def test_cloud_init_agent_power_button_and_kept_disks(image: Path, tmp_path: Path) -> None:
    root, data, seed = own_copy(image, tmp_path), tmp_path / "data.qcow2", tmp_path / "seed.iso"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(data), "1G"], check=True)
    seed_iso(seed, USER_DATA)
    port = free_port()
    arguments = [
        *disk(root),
        *disk(data),
        *("-drive", f"file={seed},if=virtio,format=raw,readonly=on"),
        *("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:80", "-device", "virtio-net-pci,netdev=n0"),
        *("-netdev", "user,id=n1,net=10.0.3.0/24", "-device", "virtio-net-pci,netdev=n1"),
    ]
    with running(tmp_path, arguments) as machine:
        print(f"login prompt {machine.wait_for('web-1 login:'):.1f} s after power-on")
        assert "gitvirt demo guest" in machine.text()
        machine.wait_for("mark:web-1:good morning:600")
        machine.wait_for("written-now")
        assert "kept:" not in machine.text()

        assert machine.agent("guest-ping") == {}
        assert machine.agent("guest-get-host-name")["host-name"] == "web-1"
        assert machine.agent("guest-get-osinfo")["id"] == "gitvirt-demo"
        for told in ("eth0 has 10.0.2.15", "eth1 has 10.0.3.15"):
            machine.wait_for(told)
        nics = {nic["name"]: nic.get("ip-addresses", []) for nic in machine.agent("guest-network-get-interfaces")}
        for name, address in (("eth0", "10.0.2.15"), ("eth1", "10.0.3.15")):
            assert address in [known["ip-address"] for known in nics[name]], nics
        assert machine.agent("guest-fsfreeze-freeze") >= 1
        assert machine.agent("guest-fsfreeze-thaw") >= 1
        shadow = dict(line.split(":")[:2] for line in machine.run("cat /etc/shadow").splitlines())
        assert shadow["demo"].startswith("$6$")
        assert shadow["root"].startswith("$6$")

        machine.log_in("demo", "sesame-1")
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=GENEROUS_S)
        client.request("GET", "/")
        assert "hostname: web-1" in client.getresponse().read().decode()

        # No warning: what was written a moment ago must be on the disks.
        machine.pull_the_plug()

    with running(tmp_path, arguments) as machine:
        machine.wait_for("kept:from-first-boot:on-root")
        machine.wait_for("ready,")
        machine.power_button()


def test_without_cloud_init_root_logs_in_on_a_bare_machine(image: Path, tmp_path: Path) -> None:
    """No seed, no NIC, no data disk: still a login prompt, and a disk and a NIC plugged in later are used."""
    root, late = own_copy(image, tmp_path), tmp_path / "late.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(late), "64M"], check=True)
    ports = [word for n in (1, 2) for word in ("-device", f"pcie-root-port,id=port{n},chassis={n},slot={n}")]
    with running(tmp_path, [*disk(root), *ports]) as machine:
        machine.wait_for("gitvirt-demo login:")
        machine.wait_for("ready,")
        assert machine.run("grep ^root: /etc/shadow").startswith("root::")
        size = int(machine.run("cat /sys/block/vda/size"))
        node = next(block["inserted"]["node-name"] for block in machine.monitor("query-block") if block.get("inserted"))
        machine.monitor("block_resize", **{"node-name": node}, size=size * 512 + 64 * 1024 * 1024)
        until(lambda: int(machine.run("cat /sys/block/vda/size")) == size + 64 * 2048, "the root disk did not grow")

        machine.monitor("netdev_add", type="user", id="n0")
        machine.monitor("device_add", driver="virtio-net-pci", netdev="n0", bus="port1", id="nic0")
        machine.wait_for("eth0 has 10.0.2.15")
        machine.monitor(
            "blockdev-add", driver="qcow2", **{"node-name": "late"}, file={"driver": "file", "filename": str(late)}
        )
        machine.monitor("device_add", driver="virtio-blk-pci", drive="late", bus="port2", id="disk1")
        machine.wait_for("vdb is mounted at /data")
        machine.monitor("block_resize", **{"node-name": "late"}, size=256 * 1024 * 1024)
        size_of_data = "df -m /data | awk 'END {print $2}'"
        until(lambda: int(machine.run(size_of_data)) >= 150, "the file system did not grow with its disk")


def test_a_foreign_disk_is_left_alone(image: Path, tmp_path: Path) -> None:
    """Only a disk that begins with zeros gets a file system."""
    root, foreign = own_copy(image, tmp_path), tmp_path / "foreign.raw"
    with foreign.open("wb") as handle:
        handle.write(b"\0" * 512 * 1024 + b"someone's data")
        handle.truncate(16 * 1024 * 1024)
    before = hashlib.sha256(foreign.read_bytes()).hexdigest()
    with running(tmp_path, [*disk(root), "-drive", f"file={foreign},if=virtio,format=raw"]) as machine:
        machine.wait_for("ready,")
        assert "/data" not in machine.run("cat /proc/mounts")
        machine.power_button()
    assert hashlib.sha256(foreign.read_bytes()).hexdigest() == before


@pytest.mark.skipif(not Path("/usr/share/OVMF/OVMF_CODE.fd").exists(), reason="ovmf is not installed")
def test_boots_under_uefi_with_its_seed_on_a_scsi_cdrom(image: Path, tmp_path: Path) -> None:
    root, seed = own_copy(image, tmp_path), tmp_path / "seed.iso"
    seed_iso(seed, "#cloud-config\nhostname: efi-1\nruncmd: ['echo mode:$(ls -d /sys/firmware/efi) > /dev/ttyS0']\n")
    arguments = [
        *("-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd"),
        *disk(root),
        *("-device", "virtio-scsi-pci", "-drive", f"file={seed},if=none,id=cd,format=raw,readonly=on"),
        *("-device", "scsi-cd,drive=cd"),
    ]
    with running(tmp_path, arguments, memory_mib=256) as machine:
        print(f"login prompt {machine.wait_for('efi-1 login:'):.1f} s after power-on")
        machine.wait_for("mode:/sys/firmware/efi")
