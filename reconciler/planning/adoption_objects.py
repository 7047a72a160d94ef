"""Is a claim, DataVolume or network of a cluster the one of a manifest? What is settled for good has to agree; the rest is shown.

A claim that is to be a DataVolume's disk is compared with what the DataVolume asks of its storage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.model.adoption import FoundObject
from reconciler.model.live import LiveObject, LiveVolume
from reconciler.model.plan import Difference
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import Resolved, ResolvedVolume
from reconciler.planning.adoption import Findings, digest_of
from reconciler.planning.resolve_volume import claim_spec

_SETTLED = {"storageClassName": "", "volumeMode": "Filesystem", "accessModes": []}
"""What a claim has for good, and what that is where it does not say."""


def object_findings(
    wanted: Resolved, found: FoundObject, compare: Callable[[Resolved, LiveObject], tuple[Difference, ...]]
) -> Findings:
    """What stands between a manifest and what is there."""
    obstacles, differences = [*found.obstacles], []
    if found.live is not None and found.key == wanted.key:
        compared = compare(wanted, found.live)
        obstacles += [_settled(d.path, d.before, d.after) for d in compared if d.refused]
        differences = [d for d in compared if not d.refused]
    elif isinstance(found.live, LiveVolume) and isinstance(wanted, ResolvedVolume):
        obstacles += _unfit(wanted, found.live)
    return Findings(
        kept=(),
        differences=tuple(differences),
        obstacles=tuple(obstacles),
        digest=digest_of(str(wanted.key), differences),
    )


def _unfit(wanted: ResolvedVolume, claim: LiveVolume) -> Iterator[str]:
    """Why a claim cannot be the disk of a DataVolume: nobody changes these, and CDI gives it what is there."""
    path, asked = claim_spec(wanted.document)
    served = claim.served.document if claim.served is not None else {}
    have: Mapping[str, Any] = served.get("spec") or {}
    for name, usual in _SETTLED.items():
        there = have.get(name) or usual
        if asked.get(name) and asked[name] != there:
            yield _settled(".".join((*path, name)), there, asked[name])
    if wanted.size_bytes > claim.size_bytes:
        yield (
            f"{claim.key} has {format_bytes(claim.size_bytes)}, and the manifest asks for {format_bytes(wanted.size_bytes)}: make it that "
            "large first, or ask for less; it can grow once it is the DataVolume's"
        )


def _settled(path: str, there: Any, said: Any) -> str:
    have, want = (json.dumps(value, default=str) if value is not None else "nothing" for value in (there, said))
    return f"{path}: there it is {have}, the manifest says {want}, and it is settled when the volume is made: write {have} into the manifest"
