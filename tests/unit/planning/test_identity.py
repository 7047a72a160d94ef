"""Law 9: identity follows from the names and never changes."""

from __future__ import annotations

import uuid

from reconciler.planning.identity import derived_mac, derived_serial, derived_uuid


def test_identity_is_stable_across_releases() -> None:
    # These values are in users' guests and DHCP servers: a change of them is a change of every VM.
    assert derived_uuid("seed", "default", "web") == "8f3522ea-81ee-5047-bc83-19c4bf98fb51"
    assert derived_mac("seed", "default", "web", "default") == "02:f0:30:9f:f6:bb"


def test_mac_is_unicast_and_locally_administered() -> None:
    for name in map(str, range(500)):
        first = int(derived_mac("s", "ns", name, "nic")[:2], 16)
        assert first & 0b11 == 0b10


def test_every_part_of_the_name_counts() -> None:
    macs = {
        derived_mac(seed, namespace, name, nic)
        for seed in "ab" for namespace in "cd" for name in "ef" for nic in "gh"
    }  # fmt: skip
    assert len(macs) == 16
    assert derived_uuid("s", "a", "b") != derived_serial("s", "a", "b")
    uuid.UUID(derived_serial("s", "a", "b"))
