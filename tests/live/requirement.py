"""What a live test needs, and what becomes of the test without it."""

from __future__ import annotations

import os

import pytest

REQUIRE = "GITVIRT_REQUIRE_LIVE"


def require_libvirt() -> None:
    """See `require`."""
    require(libvirt_missing())


def require(missing: str) -> None:
    """Skip where something is missing, with the reason; fail where the environment says that it has to be there."""
    if missing:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {missing}")
        pytest.skip(missing)


def libvirt_missing() -> str:
    """Why there is no libvirt to test with, empty when there is."""
    try:
        import libvirt
    except ImportError:
        return "the Python module libvirt is not installed"
    try:
        libvirt.open("qemu:///system").close()
    except libvirt.libvirtError as error:
        return f"libvirtd cannot be reached: {error}"
    return ""
