"""Does KVM really run guests here? Asked once per host boot, by booting one.

A device node proves nothing: there are hosts whose /dev/kvm accepts a VM and then emulates it so slowly that no kernel
ever comes up. The proof is a 512-byte boot sector: it enters 64-bit mode with paging, as every kernel has to, and counts
down from 134 million, which real hardware does in a tenth of a second. The write to the debug-exit port then ends
QEMU with a status of its own.

Source: Intel SDM vol. 3A, "Switching to 64-bit mode"; QEMU's ``isa-debug-exit`` (status = value * 2 + 1).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nodeexec.this_boot import boot_id

_CODE = (
    ("fa", "cli"),
    ("31c0 8ed8 8ec0 8ed0", "ax = ds = es = ss = 0"),
    ("bf0010 b90018 f3ab", "clear three pages for tables at 0x1000"),
    ("c7060010 0320", "level 4, entry 0: the table at 0x2000"),
    ("c7060020 0330", "level 3, entry 0: the table at 0x3000"),
    ("c7060030 8300", "level 2, entry 0: the first 2 MiB as they are"),
    ("0f0116 807c", "lgdt [0x7c80]"),
    ("66b820000000 0f22e0", "cr4 = physical address extension"),
    ("66b800100000 0f22d8", "cr3 = 0x1000"),
    ("66b9800000c0 0f32 660d00010000 0f30", "EFER: long mode enable"),
    ("0f20c0 660d01000080 0f22c0", "cr0: paging and protection"),
    ("ea5b7c0800", "jump to 64-bit code at 0x7c5b"),
    ("b900000008", "ecx = 134217728"),
    ("ffc9 75fc", "count down to zero"),
    ("66baf400 b031 ee", "write 0x31 to the debug-exit port"),
    ("f4 ebfd", "halt"),
)
_TABLE_AT, _TABLE = 0x70, "0000000000000000 00000000009a2000 0f00 707c0000"
_PASSED = 0x31 * 2 + 1
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmProof:
    """``works`` and, where it does not, why (for ``gitvirt doctor`` and the status)."""

    works: bool
    reason: str


def boot_sector() -> bytes:
    """The 512 bytes that the guest boots."""
    code = bytes.fromhex("".join(part for part, _ in _CODE))
    image = code.ljust(_TABLE_AT, b"\0") + bytes.fromhex(_TABLE)
    return image.ljust(510, b"\0") + b"\x55\xaa"


def prove_kvm(emulator: str, directory: Path, *, device: Path = Path("/dev/kvm")) -> KvmProof:
    """Whether a guest boots on KVM with this QEMU; the answer is kept in ``directory`` until the host reboots."""
    if not device.exists():
        return KvmProof(
            works=False, reason=f"{device} does not exist: no hardware virtualization, or it is off in the firmware"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        return KvmProof(works=False, reason=f"{device} may not be opened by this user: add it to the kvm group")
    stamp = {"boot_id": boot_id(), "emulator": emulator, "changed": _changed(emulator)}
    kept = directory / "kvm-proof.json"
    known = _read(kept, stamp)
    if known is not None:
        return known
    proof = _boot(emulator)
    _keep(kept, {**stamp, "works": proof.works, "reason": proof.reason})
    return proof


def _boot(emulator: str) -> KvmProof:
    with tempfile.TemporaryDirectory(prefix="gitvirt-kvm-") as directory:
        image = Path(directory) / "boot.img"
        image.write_bytes(boot_sector())
        command = [
            emulator, "-accel", "kvm", "-m", "8", "-nodefaults", "-no-user-config", "-display", "none",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-drive", f"file={image},format=raw,if=ide,readonly=off",
        ]  # fmt: skip
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return KvmProof(works=False, reason=f"a test guest on /dev/kvm did not get through in {_TIMEOUT_S:.0f} s")
        except OSError as error:
            return KvmProof(works=False, reason=f"{emulator} cannot be run: {error.strerror}")
    if ended.returncode == _PASSED:
        return KvmProof(works=True, reason="a test guest booted on /dev/kvm")
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    return KvmProof(works=False, reason=f"a test guest on /dev/kvm failed: {said[-1] if said else ended.returncode}")


def _changed(emulator: str) -> int:
    try:
        return Path(emulator).stat().st_mtime_ns
    except OSError:
        return 0


def _read(kept: Path, stamp: dict[str, object]) -> KvmProof | None:
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or any(said.get(name) != value for name, value in stamp.items()):
        return None
    return KvmProof(works=said.get("works") is True, reason=str(said.get("reason")))


def _keep(kept: Path, content: dict[str, object]) -> None:
    """Best effort: without a place to keep it the proof is made again by the next process."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_name(f".{kept.name}.{os.getpid()}")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(kept)
    except OSError:
        return
