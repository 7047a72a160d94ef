"""Verbs of the trash: what was deleted, put back, or destroyed for good."""

from __future__ import annotations

from reconciler.daemon.arguments import Arguments
from reconciler.daemon.operations_frame import Frame, Json
from reconciler.daemon.refusals import refuse_fault
from reconciler.daemon.views import trash_view
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey


class TrashVerbs(Frame):
    """``trash list``, ``restore`` and ``empty``."""

    def trash_list(self, arguments: Arguments, _: str) -> Json:
        """What was deleted and can come back, newest first."""
        arguments.finish()
        items = sorted(self._engine.observe(None).trash, key=lambda item: (item.trashed_at, item.item), reverse=True)
        return {"items": [trash_view(item) for item in items if item.owner == self._policy.owner]}

    def trash_restore(self, arguments: Arguments, user: str) -> Json:
        """Put a trashed volume back under its name."""
        item = arguments.word("item")
        arguments.finish()

        def act() -> Json:
            key = self._trash_keys()[self._known_item(item)]
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
            chosen = tuple(self._trash_keys()) if everything else tuple(self._known_item(item) for item in items)
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

    def _trash_keys(self) -> dict[str, ObjectKey]:
        owned = (item for item in self._engine.observe(None).trash if item.owner == self._policy.owner)
        return {item.item: item.key for item in owned}

    def _known_item(self, item: str) -> str:
        if item not in self._trash_keys():
            raise DaemonError(f"there is no trash item {item}; `gitvirt trash list` lists them.")
        return item
