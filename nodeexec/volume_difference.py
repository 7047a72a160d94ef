"""A volume: it grows; nothing else about it is ever changed by itself."""

from __future__ import annotations

from collections.abc import Iterator

from nodeexec.recorded import recorded_only
from reconciler.model.live import LiveVolume
from reconciler.model.plan import Difference, Impact
from reconciler.model.quantity import format_bytes
from reconciler.model.resolved import ResolvedVolume

_GROWS = "the volume grows; a running guest sees it at once"
_FRESH = "delete the claim (it goes to the trash) and declare it anew with gitvirt.io/fresh-disk naming that trash item"


def volume_differences(wanted: ResolvedVolume, live: LiveVolume) -> tuple[Difference, ...]:
    """All differences of a volume, unsorted. A request below the live size is satisfied. A volume that is still being
    filled has no size to compare.
    """
    found = [*_size(wanted, live), *_kept(wanted, live)]
    before = live.marks.applied if live.marks is not None else None
    return (*found, *recorded_only(before, wanted.applied, [difference.path for difference in found]))


def _size(wanted: ResolvedVolume, live: LiveVolume) -> Iterator[Difference]:
    if live.phase == "Succeeded" and wanted.size_bytes > live.size_bytes:
        yield Difference(
            path=wanted.size_path,
            before=format_bytes(live.size_bytes),
            after=format_bytes(wanted.size_bytes),
            impact=Impact.LIVE,
            reason=_GROWS,
        )


def _kept(wanted: ResolvedVolume, live: LiveVolume) -> Iterator[Difference]:
    """What was settled when the volume was made."""
    claim = wanted.size_path.removesuffix(".resources.requests.storage") or "spec"
    if wanted.storage_class != live.storage_class:
        reason = "the storage class of a volume is settled when it is made"
        yield _refused(f"{claim}.storageClassName", live.storage_class or None, wanted.storage_class or None, reason,
                       "the volume stays where it is")  # fmt: skip
    elif wanted.pool != live.pool:
        reason = "the pool of a volume is settled when it is made"
        yield _refused(f"{claim}.storageClassName", live.pool, wanted.pool, reason, "the volume stays where it is")
    if wanted.format != live.format:
        reason = "the format of a volume is settled when it is made"
        yield _refused(f"{claim}.volumeMode", live.format, wanted.format, reason, _FRESH)
    if live.source is not None and wanted.source != live.source:
        path = "spec.source" if wanted.key.kind == "DataVolume" else f"{claim}.dataSource"
        reason = "a source is read once; replacing a disk's content would destroy its data"
        yield _refused(path, str(live.source), str(wanted.source), reason, _FRESH)


def _refused(path: str, before: str | None, after: str | None, reason: str, advice: str) -> Difference:
    return Difference(
        path=path, before=before, after=after, impact=Impact.NONE, reason=reason, refused=f"{reason}: {advice}"
    )
