"""Guests of 512 bytes: boot sectors that do one thing, so that the contract suite needs no operating system.

Source: Intel ICH9 datasheet for the power management registers (PM1_STS 0x600, PM1_EN 0x602, PM1_CNT 0x604 where a q35
machine's firmware puts them); a write of SLP_EN to PM1_CNT is how a guest powers itself off.
"""

from __future__ import annotations

_POWER_OFF = "ba0406 b80020 ef f4 ebfd"  # write 0x2000 to 0x604, then halt
_SECTORS = {
    "polite": (
        "31c0 8ed8"
        "ba0206 b80001 ef"  # PM1_EN: the power button
        "fbf4 ba0006 ed f6c401 74f5" + _POWER_OFF  # sleep until it is pressed
    ),
    "deaf": "fbf4 ebfc",  # sleep for ever
    "brief": "b93600 fbf4 e2fc" + _POWER_OFF,  # 54 ticks of 55 ms
}
IMAGE_BYTES = 1 << 20


def image_of(guest: str) -> bytes:
    """A raw disk that boots that guest."""
    code = bytes.fromhex(_SECTORS[guest])
    return (code.ljust(510, b"\0") + b"\x55\xaa").ljust(IMAGE_BYTES, b"\0")
