"""The proof of KVM: its boot sector really boots, and only a guest that got through counts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from nodeexec.libvirt import kvm_proof
from nodeexec.libvirt.kvm_proof import boot_sector, prove_kvm

QEMU = shutil.which("qemu-system-x86_64")
PATIENCE_S = 60.0
"""A machine that is busy starts even a shell late."""


@pytest.mark.skipif(QEMU is None, reason="qemu-system-x86_64 is not installed")
def test_the_boot_sector_gets_through_where_guests_can_boot(tmp_path: Path) -> None:
    image = tmp_path / "boot.img"
    image.write_bytes(boot_sector())
    assert len(boot_sector()) == 512
    command = [
        str(QEMU), "-accel", "tcg", "-m", "8", "-nodefaults", "-no-user-config", "-display", "none",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", f"file={image},format=raw,if=ide",
    ]  # fmt: skip
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode == kvm_proof._PASSED


def emulator(path: Path, script: str) -> str:
    """A program that plays QEMU and counts how often it was asked."""
    path.write_text(f"#!/bin/sh\necho x >> {path}.asked\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def asked(path: Path) -> int:
    return len(Path(f"{path}.asked").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("script", "works", "word"),
    [
        (f"exit {kvm_proof._PASSED}", True, "booted"),
        ("echo 'failed to initialize kvm' >&2; exit 1", False, "failed to initialize kvm"),
        ("exit 0", False, "0"),
        ("sleep 20", False, "did not get through"),
    ],
)
def test_only_a_guest_that_gets_through_counts_and_the_answer_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, works: bool, word: str
) -> None:
    monkeypatch.setattr(kvm_proof, "_TIMEOUT_S", 0.5 if script.startswith("sleep") else PATIENCE_S)
    program, device = emulator(tmp_path / "qemu", script), tmp_path / "kvm"
    device.touch()
    proof = prove_kvm(program, tmp_path / "run", device=device)
    assert proof.works is works
    assert word in proof.reason
    monkeypatch.setattr(kvm_proof, "_boot", lambda emulator: pytest.fail(f"{emulator} was asked again"))
    assert prove_kvm(program, tmp_path / "run", device=device) == proof


def test_another_boot_of_the_host_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm_proof, "_TIMEOUT_S", PATIENCE_S)
    program, device, kept = tmp_path / "qemu", tmp_path / "kvm", tmp_path / "run" / "kvm-proof.json"
    device.touch()
    prove_kvm(emulator(program, f"exit {kvm_proof._PASSED}"), kept.parent, device=device)
    said = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps({**said, "boot_id": "another"}), encoding="utf-8")
    prove_kvm(str(program), kept.parent, device=device)
    assert asked(program) == 2


def test_no_device_is_no_kvm(tmp_path: Path) -> None:
    proof = prove_kvm("/nonexistent", tmp_path, device=tmp_path / "kvm")
    assert not proof.works
    assert "does not exist" in proof.reason
