"""Which revision of a mirror is enforced: accepted when its head was judged, confirmed once it was read as a whole.

Both are on disk, so that a revision which turns out to be unusable gives way to the last good one, whenever the
process ended in between (law 2).
"""

from __future__ import annotations

from reconciler.source.mirror import ACCEPTED, CONFIRMED, PREVIOUS, Mirror


def approvals_base(mirror: Mirror, commit: str) -> str:
    """The commit after which approvals count in ``commit``: what was confirmed before it; empty when nothing was."""
    confirmed = mirror.read(CONFIRMED)
    return confirmed if confirmed != commit else mirror.read(PREVIOUS)


def confirm(mirror: Mirror, commit: str) -> None:
    """Put on record that an accepted revision was read as a whole."""
    confirmed = mirror.read(CONFIRMED)
    if confirmed == commit:
        return
    if confirmed:
        mirror.write(PREVIOUS, confirmed)
    mirror.write(CONFIRMED, commit)


def give_way(mirror: Mirror, commit: str) -> bool:
    """Let an accepted revision that cannot be used give way to the confirmed one, or to none; whether it did."""
    confirmed = mirror.read(CONFIRMED)
    if commit in (confirmed, "") or mirror.read(ACCEPTED) != commit:
        return False
    if confirmed:
        mirror.write(ACCEPTED, confirmed)
    else:
        mirror.delete(ACCEPTED)
    return True
