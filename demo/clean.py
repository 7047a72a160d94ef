"""Remove all that an owner has on this host: domains, networks, volumes, trash. For demos and benches only.

    python -m demo.clean [OWNER …]

It looks for gitvirt's marks and touches nothing without them. Nothing goes to the trash. While a gitvirt of that owner runs it removes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree

from nodeexec.libvirt.marks import MARKS_URI
from nodeexec.libvirt.same_uri import canonical_uri
from reconciler.daemon.lock import OwnerLock, lock_directory
from reconciler.model.errors import GitvirtError

DEMO_OWNERS = ("gitvirt-demo", "gitvirt-story", "gitvirt-bench")
URI = "qemu:///system"
UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


def remove_everything_of(owner: str, *, networks: bool = True) -> list[str]:
    """Destroy it all; returns what was removed, for people."""
    connection = libvirt.open(URI)
    try:
        removed = _remove_domains(connection, owner)
        removed += _remove_volumes(connection, owner)
        if networks:
            removed += _remove_networks(connection, owner)
        return removed
    finally:
        connection.close()


def _remove_domains(connection: Any, owner: str) -> list[str]:
    removed = []
    for domain in connection.listAllDomains():
        if _owner(domain, libvirt.VIR_DOMAIN_METADATA_ELEMENT) != owner:
            continue
        if domain.isActive():
            domain.destroy()
        domain.undefineFlags(UNDEFINE)
        removed.append(f"VM {domain.name()}")
    return removed


def _remove_networks(connection: Any, owner: str) -> list[str]:
    removed = []
    for network in connection.listAllNetworks():
        text = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        marks = etree.fromstring(text.encode()).find(f"metadata/{{{MARKS_URI}}}marks")
        if marks is None or marks.get("owner") != owner:
            continue
        if network.isActive():
            network.destroy()
        network.undefine()
        removed.append(f"network {network.name()}")
    return removed


def _remove_volumes(connection: Any, owner: str) -> list[str]:
    removed = []
    for pool in connection.listAllStoragePools():
        target = etree.fromstring(pool.XMLDesc().encode()).findtext("target/path")
        if not target or not Path(target).is_dir():
            continue
        removed += remove_from_directory(Path(target), owner)
        if pool.isActive():
            pool.refresh()
    return removed


def remove_from_directory(target: Path, owner: str) -> list[str]:
    """The same for the directory of one pool. The entries of its register go too, or the volumes would count as lost."""
    removed = []
    for file in target.iterdir():
        if file.is_file() and _volume_owner(file) == owner:
            file.unlink()
            removed.append(f"volume {file.name}")
    for file in (target / ".gitvirt/incoming").glob("*"):
        if _volume_owner(file) == owner:
            file.unlink()
    for entry in (target / ".gitvirt/marks").glob("*.json"):
        if json.loads(entry.read_text()).get("owner") == owner:
            entry.unlink()
    for item in (target / ".gitvirt/trash").glob("*/item.json"):
        if json.loads(item.read_text()).get("owner") == owner:
            shutil.rmtree(item.parent)
            removed.append(f"trash {item.parent.name}")
    return removed


def _owner(domain: Any, kind: int) -> str | None:
    try:
        text = domain.metadata(kind, MARKS_URI)
    except libvirt.libvirtError:
        return None
    owner: str | None = etree.fromstring(text.encode()).get("owner")
    return owner


def _volume_owner(file: Path) -> str | None:
    with suppress(OSError, ValueError):
        owner: str | None = json.loads(os.getxattr(file, "user.gitvirt")).get("owner")
        return owner
    return None


def main(arguments: list[str]) -> int:
    """Nothing is removed under a daemon's hands, which would make it all anew."""
    for owner in arguments or DEMO_OWNERS:
        try:
            with OwnerLock(owner, canonical_uri(URI), lock_directory(shared=True)):
                for removed in remove_everything_of(owner):
                    print(f"removed {removed}")
        except GitvirtError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
