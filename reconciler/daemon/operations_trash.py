"""Verbs of the trash: what was deleted, put back, or destroyed for good."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.daemon.arguments import Arguments
from reconciler.daemon.operations_frame import Frame, Json
from reconciler.daemon.refusals import refuse_fault
from reconciler.daemon.views import trash_view
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation, TrashItem
from reconciler.model.policy import Mode
from reconciler.model.revision import SourceState
from reconciler.planning.plan_trash import why_kept
from reconciler.planning.resolve_volume import CLAIM_KINDS


class TrashVerbs(Frame):
    """``trash list``, ``restore`` and ``empty``."""

    def trash_list(self, arguments: Arguments, _: str) -> Json:
        """What was deleted and can come back, newest first, and when it expires."""
        arguments.finish()
        fault = self.look()
        observation = (None if fault else self._cycle.observation) or self._engine.observe(None)
        return {"items": self._trash_rows(observation), "messages": _unseen(observation)}

    def _trash_rows(self, observation: Observation) -> list[Json]:
        items = sorted(observation.trash, key=lambda item: (item.trashed_at, item.item), reverse=True)
        limit_s = self._policy.trash_expire_after_s
        return [
            trash_view(item, limit_s, self._why_kept(item, observation))
            for item in items
            if item.owner == self._policy.owner
        ]

    def _why_kept(self, item: TrashItem, observation: Observation) -> str:
        """Why an item does not expire although a time is set; empty when it does, or none is set."""
        desired = self._cycle.desired
        if self._policy.trash_expire_after_s is None:
            return ""
        if self._policy.mode is Mode.REPORT or self._cycle.suspended:
            return "nothing is done at the moment"
        looks = self._cycle.source_statuses.values()
        if desired is None or any(look.state is not SourceState.READY for look in looks):
            return "the repository could not be looked at"
        return why_kept(item, self._policy, desired, observation)

    def trash_restore(self, arguments: Arguments, user: str) -> Json:
        """Put a trashed volume back under its name."""
        item = arguments.word("item")
        arguments.finish()

        def act() -> Json:
            key = self._known_items((item,))[item]
            self._refuse_unless_wanted(key)
            refuse_fault(self._engine.restore_trash(item), f"restore {item}")
            action = self._action("trash restore", user, key, {"item": item})
            return self._with_object(self._turn.run(Wake(keys=frozenset({key}), operator=(action,))), key)

        return self._turn.call(act)

    def trash_empty(self, arguments: Arguments, user: str) -> Json:
        """Destroy trash items for good: those named, or all."""
        items, everything = arguments.words("items"), arguments.flag("all")
        arguments.finish()
        if everything == bool(items):
            raise DaemonError("trash-empty: name the items, or say all; not both.")

        def act() -> Json:
            chosen = self._known_items(None if everything else items)
            ended = {item: self._engine.empty_trash(item) for item in chosen}
            destroyed = [item for item, outcome in ended.items() if not outcome.is_fault]
            action = self._action("trash empty", user, arguments={"items": " ".join(destroyed)})
            self._turn.run(Wake(operator=(action,)))
            return {
                "emptied": destroyed,
                "failed": [{"item": i, "reason": o.reason} for i, o in ended.items() if o.is_fault],
            }

        return self._turn.call(act)

    def _refuse_unless_wanted(self, key: ObjectKey) -> None:
        """What Git does not want would go back to the trash in the cycle that follows."""
        fault = self.look()
        declared = any(status.key == key and status.declared for status in self._cycle.status())
        if not (declared or fault or self._cycle.suspended):
            raise DaemonError(
                f"{key} is not in the repository, so it would go back to the trash at once. Put its manifest back "
                "(it then takes this disk by itself), or `gitvirt suspend --all` first to look at the disk."
            )

    def _known_items(self, items: Iterable[str] | None) -> dict[str, ObjectKey]:
        """Items of the trash by name, None for all, and what they were.

        Raises:
            DaemonError: there is none of a name, as far as can be seen.
        """
        observation = self._engine.observe(None)
        known = {item.item: item.key for item in observation.trash if item.owner == self._policy.owner}
        if items is None:
            return known
        for item in items:
            if item not in known:
                unseen = "".join(f" {said}." for said in _unseen(observation))
                raise DaemonError(f"there is no trash item {item}; `gitvirt trash list` lists them.{unseen}")
        return {item: known[item] for item in items}


def _unseen(observation: Observation) -> list[str]:
    """What of the trash could not be read: it is not empty because of that (law 2)."""
    gaps = (gap.reason for gap in observation.unreadable if gap.key is None and gap.kinds & frozenset(CLAIM_KINDS))
    return [f"not all of the trash can be seen: {reason}" for reason in dict.fromkeys(gaps)]
