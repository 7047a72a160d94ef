"""Two ways to write one libvirt are one libvirt: the lock of an owner must not depend on the spelling."""

from __future__ import annotations

import pytest

from nodeexec.libvirt.same_uri import canonical_uri, is_for_one_user


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu:///system/",
        "qemu+unix:///system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
        "qemu+unix:///system?socket=/var/run/libvirt/virtqemud-sock&mode=direct",
        "qemu://localhost/system",
        "qemu+ssh://root@localhost:22/system?keyfile=/root/.ssh/id",
        "qemu+tls://vmhost.example.org/system?no_verify=1",
        "qemu+tcp://[::1]:16509/system",
    ],
)
def test_one_spelling(uri: str) -> None:
    assert canonical_uri(uri, ("VMhost.example.org",)) == "qemu:///system"


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("qemu:///session", "qemu:///session"),
        ("qemu+ssh://admin@other/system", "qemu://other/system"),
        ("qemu+unix:///system?socket=/srv/a/libvirt-sock", "qemu:///system?socket=/srv/a/libvirt-sock"),
        ("qemu:///embed?root=/srv/vms/", "qemu:///embed?root=/srv/vms"),
        ("test:///default", "test:///default"),
        ("", ""),
        ("qemu://[", "qemu://["),
    ],
)
def test_what_is_another_stays_another(uri: str, canonical: str) -> None:
    assert canonical_uri(uri, ("vmhost",)) == canonical


def test_who_shares_it() -> None:
    assert not is_for_one_user("qemu:///system")
    assert is_for_one_user("qemu:///session")
    assert is_for_one_user("qemu:///embed?root=/srv/vms")
