"""The register of disks as text: an entry each, so that a person can read what gitvirt knows to have been there. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from nodeexec.kubevirt.kinds import CLAIM_KINDS
from nodeexec.kubevirt.marks import read_time, time_text
from reconciler.model.keys import ObjectKey

Name = tuple[str, str]
"""(namespace, name). A claim and a DataVolume of one name are one disk."""

LONGEST_PAGE = 900_000
"""Characters of one ConfigMap; an object may have 1 MiB."""
_NONE = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDisk:
    """A disk that was there: ``uid`` is its object's, ``claim_uid`` that of a DataVolume's claim (empty for a claim), and ``made_at``
    when the object that has the data was made.
    """

    key: ObjectKey
    uid: str
    claim_uid: str = ""
    made_at: datetime

    @property
    def name(self) -> Name:
        """What it is looked up by."""
        return self.key.namespace, self.key.name


def entry_key(name: Name) -> str:
    """What an entry stands under: names together may be longer than a key of a ConfigMap."""
    return hashlib.sha256("/".join(name).encode()).hexdigest()[:32]


def entry_text(disk: KnownDisk) -> str:
    """An entry as it is written."""
    return f"{time_text(disk.made_at)} {disk.uid} {disk.claim_uid or _NONE} {disk.key}"


def length_of(disk: KnownDisk) -> int:
    """What an entry takes of a page, in characters."""
    return len(entry_key(disk.name)) + len(entry_text(disk))


def read_page(data: Mapping[str, str]) -> dict[Name, KnownDisk]:
    """What was written on one page.

    Raises:
        ValueError: an entry is something else.
    """
    found = [_read(key, text) for key, text in data.items() if key != ABOUT]
    return {disk.name: disk for disk in found}


ABOUT = "about"
"""The entry that tells people what the rest is."""


def _read(key: str, text: str) -> KnownDisk:
    parts = text.split(" ")
    made_at = read_time(parts[0])
    if len(parts) != 4 or made_at is None or not all(parts):
        raise ValueError(f"entry {key}: it is not TIME UID CLAIM OBJECT")
    disk = KnownDisk(
        key=ObjectKey.parse(parts[3]), uid=parts[1], claim_uid=parts[2].removeprefix(_NONE), made_at=made_at
    )
    if entry_key(disk.name) != key or disk.key.kind not in CLAIM_KINDS:
        raise ValueError(f"entry {key}: it is not about {parts[3]}")
    return disk
