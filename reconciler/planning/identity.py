"""Identity is derived, never re-rolled (law 9): UUID, serial and MAC follow from the seed and the names."""

from __future__ import annotations

import hashlib
import uuid

_NAMESPACE = uuid.UUID("7d3c4c9e-6f0b-5b0c-9a51-2f0f6a1c9b11")


def derived_uuid(seed: str, namespace: str, name: str) -> str:
    """The VM's UUID, RFC 9562 version 5."""
    return str(uuid.uuid5(_NAMESPACE, f"uuid/{seed}/{namespace}/{name}"))


def derived_serial(seed: str, namespace: str, name: str) -> str:
    """The VM's SMBIOS serial, in the form of a UUID like KubeVirt's."""
    return str(uuid.uuid5(_NAMESPACE, f"serial/{seed}/{namespace}/{name}"))


def derived_mac(seed: str, namespace: str, name: str, interface: str) -> str:
    """A locally administered unicast address (``02:…``): 40 bits of hash, so collisions are rare and are a Problem."""
    tail = hashlib.sha256(f"mac/{seed}/{namespace}/{name}/{interface}".encode()).digest()[:5]
    return ":".join(f"{byte:02x}" for byte in (0x02, *tail))
