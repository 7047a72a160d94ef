"""What a revision declares, after parsing and checking: the input of planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A thing that several objects claim and only one can have (a MAC, a disk). ``resource`` names it for people. The
    claimant that already has it keeps it; with none, all are invalid (law 5).
    """

    code: str
    resource: str
    claimants: tuple[ObjectKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A revision's objects. ``documents`` are valid ones, those of dataVolumeTemplates among them (``template_owners``
    says whose). ``invalid`` maps an object that is there but not valid to the reason, for people. ``complete`` is False
    when something could not be identified: then nothing may be concluded from absence (law 2).
    """

    revision: str
    documents: Mapping[ObjectKey, Document]
    invalid: Mapping[ObjectKey, str] = field(default_factory=dict)
    contests: tuple[Contest, ...] = ()
    template_owners: Mapping[ObjectKey, ObjectKey] = field(default_factory=dict)
    complete: bool = True

    @property
    def present(self) -> frozenset[ObjectKey]:
        """Everything the revision holds, valid or not."""
        return frozenset(self.documents) | frozenset(self.invalid)
