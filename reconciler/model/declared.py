"""What the accepted revisions declare, after parsing and checking: the input of planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.persistent import PersistentMap
from reconciler.model.sync_wave import Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A thing that several objects claim and only one can have (a MAC, a disk). ``resource`` names it for people. The
    claimant that already has it keeps it; with none, all are invalid (law 5).
    """

    code: str
    resource: str
    claimants: tuple[ObjectKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of one source: its name, and the accepted commit. ``complete`` is False when something of it could
    not be identified: then nothing may be concluded from absence (law 2).
    """

    source: str = ""
    revision: str = ""
    complete: bool = True


Readings = Mapping[str, Reading]
"""By `Origin.identity`. A source of which no revision was ever accepted is not among them."""

UNKNOWN_READING = Reading(complete=False)


def reading_of(readings: Readings, identity: str) -> Reading:
    """The reading of the source that an object came from. What names none (the pod network) belongs to the only one."""
    found = readings.get(identity)
    if found is None and len(readings) == 1:
        return next(iter(readings.values()))
    return found or UNKNOWN_READING


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The objects of all sources at their accepted revisions. ``documents`` are valid ones, those of dataVolumeTemplates
    among them (``template_owners`` says whose). ``invalid`` maps an object that is there but not valid to the reason, for
    people. ``waves`` has the sync wave of every object that says another than 0, and of every one that is not valid.
    ``rivals`` maps an object that several sources declare to the identities of those: whose live object it is
    decides which of them counts.
    """

    readings: Readings
    documents: PersistentMap[ObjectKey, Document] = PersistentMap()
    invalid: PersistentMap[ObjectKey, str] = PersistentMap()
    contests: tuple[Contest, ...] = ()
    template_owners: PersistentMap[ObjectKey, ObjectKey] = PersistentMap()
    rivals: Mapping[ObjectKey, tuple[str, ...]] = field(default_factory=dict)
    waves: PersistentMap[ObjectKey, Wave] = PersistentMap()

    @property
    def present(self) -> frozenset[ObjectKey]:
        """Everything that any source holds, valid or not."""
        return frozenset(self.documents) | frozenset(self.invalid)
