"""Things of which there is one and that several objects claim (law 5), and what VMs are known by on the host (law 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.model.declared import Contest
from reconciler.model.keys import ObjectKey
from reconciler.model.multimap import MultiMap
from reconciler.model.resolved import ResolvedVm

_NOUNS = {"mac-duplicate": "MAC", "uuid-duplicate": "UUID"}


def lost_contests(contests: Iterable[Contest], is_live: Callable[[ObjectKey], bool]) -> dict[ObjectKey, str]:
    """Who loses, and why: the claimant that already has the thing keeps it; with none, all lose."""
    lost: dict[ObjectKey, str] = {}
    for contest in contests:
        holders = [key for key in contest.claimants if is_live(key)]
        keeper = holders[0] if len(holders) == 1 else None
        for key in contest.claimants:
            if key != keeper:
                others = ", ".join(str(other) for other in contest.claimants if other != key)
                noun = _NOUNS.get(contest.code, "disk")
                lost[key] = f"{noun} {contest.resource} is also claimed by {others}"
    return lost


class Identities:
    """MACs and UUIDs of resolved VMs, derived ones included, and who has each."""

    def __init__(self) -> None:
        self._holders: MultiMap[tuple[str, str], ObjectKey] = MultiMap()

    def replace(self, key: ObjectKey, before: ResolvedVm | None, after: ResolvedVm | None) -> None:
        """A VM changed, came or went."""
        self._holders.move(key, _identity(before), _identity(after))

    def contests(self) -> tuple[Contest, ...]:
        """One for each MAC or UUID that more than one VM has."""
        return tuple(
            Contest(code=thing[0], resource=thing[1], claimants=tuple(sorted(self._holders.of(thing))))
            for thing in sorted(self._holders.shared())
        )


def _identity(vm: ResolvedVm | None) -> set[tuple[str, str]]:
    if vm is None:
        return set()
    macs = {("mac-duplicate", interface.mac) for interface in vm.domain.interfaces}
    return {*macs, ("uuid-duplicate", vm.domain.uuid)}
