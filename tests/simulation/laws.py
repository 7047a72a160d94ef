"""The safety laws, checked after every step of the host. One function a law; each says what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nodeexec.simulated.host import GITVIRT, StepRecord
from tests.simulation.known import Known
from tests.simulation.laws_data import DATA_LAWS, Trash, no_secret_on_the_host
from tests.simulation.laws_deletion import BlastRadius, deletions_are_declared, prune_annotations_hold
from tests.simulation.laws_guests import GUEST_LAWS, Grace, Identity, Restarts
from tests.simulation.laws_owners import OWNER_LAWS

Law = Callable[[Known, StepRecord], Iterator[str]]


class Laws:
    """Watches one host."""

    def __init__(self, known: Known, report: Callable[[str], None], *, searched: bool) -> None:
        """``searched``: secrets are looked for as well."""
        self._known = known
        self._report = report
        self._blast_radius = BlastRadius()
        self._laws: tuple[Law, ...] = (
            *DATA_LAWS,
            *OWNER_LAWS,
            *GUEST_LAWS,
            deletions_are_declared,
            prune_annotations_hold,
            Trash(),
            Restarts(),
            Grace(),
            Identity(),
            self._blast_radius,
            *((no_secret_on_the_host,) if searched else ()),
        )

    def watch(self, record: StepRecord) -> None:
        """One step. What people and guests do themselves breaks no law, but some laws have to know of it."""
        if record.actor != GITVIRT:
            self._blast_radius.note_foreign(record)
            return
        for law in self._laws:
            for wrong in law(self._known, record):
                self._report(f"{record.name} {record.key or ''} ({record.reason}): {wrong}")
