"""How an encrypted volume names the passphrase that opens it, without saying anything of it."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("5d1d0f0e-7f0c-5a53-9a5e-3b0a4c6c5a11")


def passphrase_id(owner: str, storage_class: str) -> str:
    """The UUID under which a hypervisor asks for the passphrase of a class's volumes: the same on every start."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}\0{storage_class}"))
