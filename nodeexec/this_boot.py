"""Which run of this machine's kernel it is: its clock since boot means nothing in another one."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
