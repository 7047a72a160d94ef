"""What an object is held at while its manifest cannot be used: the document that was last applied to it (law 5)."""

from __future__ import annotations

from reconciler.model.document import Document
from reconciler.model.domain import SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm
from reconciler.planning.redact import source_of


def held_document(key: ObjectKey, live: LiveObject | None) -> Document | None:
    """The last applied document, as the object itself remembers it."""
    applied = live.marks.applied if live is not None and live.marks else None
    if live is None or applied is None:
        return None
    api_version = str(applied.get("apiVersion", ""))
    return Document(
        key=key, api_version=api_version, body=applied, digest="", file="(last applied)", origin=source_of(live)
    )


def kept_seeds(live: LiveObject | None) -> dict[str, str]:
    """The seed ISOs that a VM's next boot has now: its secrets are not at hand to make them anew."""
    spec = (live.stored or live.running) if isinstance(live, LiveVm) else None
    return {disk.name: disk.source.digest for disk in spec.disks if isinstance(disk.source, SeedSource)} if spec else {}
