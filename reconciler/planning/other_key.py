"""VMs whose marks were made under another key (the key file was lost): their digests say nothing, so what they stand for is
unknown, and not drift. A running guest stays as it is; its next start takes everything anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.domain import SeedSource
from reconciler.model.live import LiveObject, LiveVm
from reconciler.model.packed import packed
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.held import kept_seeds
from reconciler.planning.redact import MASK, Digest

KEY = "gitvirt.io/key"
"""Annotation of the applied document of a VM with secrets: which key its digests were made with."""

UNKNOWN = (
    "its cloud-init data and passwords were recorded under another key than keyFile has now, so whether they changed since is "
    "not known: they stay as they are while the guest runs, and are made anew when it is off. Put the old key file back to know"
)


def key_name(digest: Digest) -> str:
    """What the key is called: nothing about it can be told from its name."""
    return digest(b"\0the name of this key")


def named(applied: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The applied document, which remembers the key."""
    metadata = dict(applied.get("metadata") or {})
    return {**applied, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), KEY: name}}}


def key_of(applied: Mapping[str, Any] | None) -> str:
    """The key that an applied document remembers; empty for none."""
    return str((((applied or {}).get("metadata") or {}).get("annotations") or {}).get(KEY, ""))


def heeding_key(vm: ResolvedVm, live: LiveObject | None) -> ResolvedVm:
    """The VM as it can be compared with what is there: under another key than now a running guest keeps its seeds."""
    ours = key_of(vm.applied)
    before = live.marks.applied if isinstance(live, LiveVm) and live.marks else None
    if not ours or not isinstance(live, LiveVm) or live.running is None or before is None:
        return vm
    theirs = key_of(before)
    if theirs in ("", ours):
        return vm
    kept = kept_seeds(live)
    disks = tuple(
        replace(disk, source=SeedSource(digest=kept[disk.name]))
        if isinstance(disk.source, SeedSource) and disk.name in kept
        else disk
        for disk in vm.domain.disks
    )
    applied = named(vm.applied, theirs)
    access = vm.guest_access
    return replace(
        vm,
        domain=replace(vm.domain, disks=disks),
        seeds=tuple(seed for seed in vm.seeds if seed.volume not in kept),
        applied=packed(before if _unmasked(before) == _unmasked(applied) else applied),
        guest_access=replace(access, digest=live.guest_access) if access and live.guest_access else access,
        of_another_key=True,
    )


def _unmasked(node: Any) -> Any:
    """A document without what its digests say."""
    if isinstance(node, Mapping):
        return {name: _unmasked(value) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_unmasked(item) for item in node]
    return MASK if isinstance(node, str) and node.startswith(MASK) else node
