"""What is done to trash items: put back or destroyed by name, aged while they lie there, destroyed when their time is over."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.errors import ApplyEndedError
from nodeexec.libvirt.image_chain import overlays_on
from nodeexec.libvirt.observe import Observer, readable_pools
from nodeexec.libvirt.pools import Pool, Pools
from nodeexec.libvirt.steps import Steps
from nodeexec.libvirt.trash import StoredItem, destroy_item, find_item, list_items, take_back, write_age
from nodeexec.libvirt.volume_files import NameTakenError
from nodeexec.trash_age import age_at, is_due, noted
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change
from reconciler.model.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashChanges:
    """Acts on this owner's items only; what expires by itself has to be this host's as well."""

    policy: Policy
    index: DomainIndex
    observer: Observer
    pools: Pools

    def empty(self, item: str, steps: Steps) -> Outcome:
        """Destroy an item by name.

        Raises:
            ApplyEndedError: there is none of the name, or it is used.
            VolumeError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        found = self._named(item)
        if found is None:
            raise _missing(item)
        self._destroy(*found, steps)
        return steps.outcome()

    def expire(self, change: Change, steps: Steps) -> Outcome:
        """Destroy an item whose time is over: still there, and not younger than the plan took it for.

        Raises:
            ApplyEndedError: it is used, or younger.
            VolumeError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        if change.action is not Action.DELETE:
            raise ApplyEndedError(Result.REFUSED, f"a trash item is not for {change.action}")
        found = self._named(change.key.name)
        if found is None:
            return Outcome(result=Result.UNCHANGED, reason="it is gone already")
        pool, item = found
        if item.facts.host != self.policy.host:
            raise ApplyEndedError(
                Result.REFUSED, f"{item.facts.item} was deleted by host {item.facts.host or 'unknown'}"
            )
        if age_at(item.age, self.observer.moment()) < float(change.expected):
            reason = f"{item.facts.item} is younger than it was when this was planned"
            raise ApplyEndedError(Result.CONFLICT, reason, retry_after_s=1.0)
        self._destroy(pool, item, steps)
        return steps.outcome()

    def restore(self, item: str, steps: Steps) -> Outcome:
        """Put a volume back under its name, with the marks it had.

        Raises:
            ApplyEndedError: there is none of the name.
            VolumeError, OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        named = self._named(item)
        if named is None:
            raise _missing(item)
        pool, found = named
        marks = found.marks
        if not found.volume or marks is None:
            reason = f"{item} holds no volume; declare the VM again to have it back"
            return Outcome(result=Result.REFUSED, reason=reason)
        try:
            steps.do("took volume out of trash", lambda: take_back(pool, found, found.volume, marks))
        except NameTakenError as error:
            return Outcome(result=Result.REFUSED, reason=f"{error}; move or delete it first, then restore {item}")
        self.pools.refresh(self.pools.require(pool.name))
        return steps.outcome()

    def note_ages(self, steps: Steps) -> Outcome:
        """Write on each item of this owner and host how long it was seen, where that was not done lately.

        Raises:
            OSError, ValueError, libvirt.libvirtError: as the parts say.
        """
        now = self.observer.moment()
        count = 0
        for pool in readable_pools(self.observer.pools()):
            for item in list_items(pool):
                if self._is_of_this_host(item) and is_due(item.age, now):
                    write_age(item, noted(item.age, now))
                    count += 1
        if count:
            steps.done.append(f"noted the age of {count} trash items")
        return steps.outcome()

    def _is_of_this_host(self, item: StoredItem) -> bool:
        return item.facts.owner == self.policy.owner and item.facts.host == self.policy.host

    def _destroy(self, pool: Pool, item: StoredItem, steps: Steps) -> None:
        """Whoever opened a disk in the trash by hand, or put an overlay on it, keeps it."""
        if item.volume:
            self.index.refresh(fresh=True)
            users = [str(key) for key in self.index.users_of_path(str(item.file))]
            users += overlays_on(pool, item.file)
            if users:
                raise ApplyEndedError(Result.REFUSED, f"{item.file} is used by {', '.join(users)}; it is not destroyed")
        steps.do("destroyed trash item", lambda: destroy_item(pool, item))

    def _named(self, name: str) -> tuple[Pool, StoredItem] | None:
        """One of our items."""
        for pool in readable_pools(self.observer.pools()):
            found = find_item(pool, name)
            if found is not None and found.facts.owner == self.policy.owner:
                return pool, found
        return None


def _missing(item: str) -> ApplyEndedError:
    return ApplyEndedError(
        Result.REFUSED, f"there is no trash item {item[:120]!r}; `gitvirt trash list` names those there are"
    )
