"""A VM's firmware variables and TPM state: into the trash with its definition, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import libvirt

from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.executor_power import Guest
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.safe_xml import parse_xml
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.trash import NVRAM, TPM, find_item, remove_item, trash_definition
from reconciler.model.keys import ObjectKey
from reconciler.model.live import TrashItem
from reconciler.model.moment import Moment
from reconciler.model.outcome import Result
from reconciler.model.plan import Change

_TPM_STATES = Path("/var/lib/libvirt/swtpm")


def keep_in_trash(pool: Pool, change: Change, guest: Guest, now: Moment, steps: Steps) -> TrashItem:
    """Copy definition and firmware state of a domain that is off into the trash.

    Raises:
        VolumeError: the pool refuses.
    """
    xml = guest.handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    root = parse_xml(xml)
    nvram = root.findtext("os/nvram")
    has_tpm = root.find("devices/tpm") is not None
    facts = TrashItem(
        item="",
        key=change.key,
        owner=guest.marks.marks.owner,
        trashed_at=now.at,
        pool=pool.name,
        revision=change.revision,
        applied=guest.marks.marks.applied,
    )
    return steps.do(
        "kept definition in trash",
        lambda: trash_definition(
            pool,
            facts,
            guest.marks,
            xml,
            Path(nvram) if nvram else None,
            _TPM_STATES / guest.handle.UUIDString() if has_tpm else None,
            now,
        ),
    )


def put_back(pools: Pools, pool_name: str, item_name: str, handle: Any, steps: Steps) -> None:
    """Give a domain that is off the firmware state of a trash item, then drop the item. One that is gone was put back
    before.

    Raises:
        ApplyEndedError: the item is another VM's.
        VolumeError, OSError, libvirt.libvirtError: it cannot be done.
    """
    pool = pools.require(pool_name)
    item = find_item(pool, item_name)
    if item is None or handle.isActive():
        return
    root = parse_xml(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    if item.facts.key != ObjectKey(item.facts.key.kind, *handle.name().split("_", 1)):
        raise ApplyEndedError(Result.REFUSED, f"trash item {item_name} is of {item.facts.key}")
    nvram, kept = root.findtext("os/nvram"), item.directory / NVRAM
    if nvram and kept.exists():
        steps.do("put back firmware variables", lambda: _copy(kept, Path(nvram)))
    state = item.directory / TPM
    if root.find("devices/tpm") is not None and state.is_dir():
        target = _TPM_STATES / handle.UUIDString()
        steps.do("put back TPM state", lambda: shutil.copytree(state, target, dirs_exist_ok=True))
    steps.do(f"removed {item_name} from trash", lambda: remove_item(item))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o600)
    fresh.replace(target)
