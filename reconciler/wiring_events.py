"""The part of the composition root for `gitvirt events`: the daemon's memory, and before it the journal's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.daemon.control_client import RemoteFaultError, ask
from reconciler.journal.audit import Wanted
from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey
from reconciler.settings import Settings

EventView = Mapping[str, Any]
"""See `views.event_view`."""

_WAIT_S = 20.0
_PAUSE_S = 1.0
_PATIENCE = 5


class EventStream:
    """Events of one daemon after another, of one VM or all."""

    def __init__(self, settings: Settings, vm: str) -> None:
        """``vm`` is as `Wanted` has it, empty for everything."""
        self._settings = settings
        self._vm = vm
        self._wanted = Wanted(vm) if vm else None
        self._book, self._last = "", 0

    def past(self, since: datetime | None, limit: int) -> Sequence[EventView]:
        """The latest events, oldest first: the daemon's, and from the time before it began the journal's.

        Raises:
            DaemonError: there is a daemon that may not be asked.
            JournalError: the journal cannot be read.
        """
        answer = self._ask(0.0)
        recent = self._chosen(answer["events"], since) if answer else []
        older = self._journal(since, limit, before=answer["book"] if answer else "")
        return [*older, *recent][-limit:]

    def coming(self) -> Iterator[EventView]:
        """What happens from now on, without end. While no daemon runs nothing is known to happen.

        Raises:
            DaemonError: there is a daemon that may not be asked.
        """
        hung_up = 0
        while True:
            try:
                answer = self._ask(_WAIT_S)
            except RemoteFaultError:
                raise
            except DaemonError:
                # A daemon that ends does so in the middle of our waiting.
                hung_up += 1
                if hung_up > _PATIENCE:
                    raise
                answer = None
            if answer is None:
                time.sleep(_PAUSE_S)
                continue
            hung_up = 0
            yield from self._chosen(answer["events"], None)

    def _ask(self, wait_s: float) -> Mapping[str, Any] | None:
        arguments = {"book": self._book, "after": self._last, **({"wait_s": wait_s} if wait_s else {})}
        answer: Mapping[str, Any] | None = ask(self._settings.control_socket, "events", arguments)
        if answer is not None:
            self._book, self._last = answer["book"], answer["last"]
        return answer

    def _chosen(self, events: Sequence[EventView], since: datetime | None) -> list[EventView]:
        return [
            event
            for event in events
            if (since is None or datetime.fromisoformat(event["at"]) >= since) and self._is_wanted(event["object"])
        ]

    def _is_wanted(self, key: str | None) -> bool:
        return self._wanted is None or (key is not None and self._wanted.matches(ObjectKey.parse(key)))

    def _journal(self, since: datetime | None, limit: int, *, before: str) -> list[EventView]:
        from reconciler.daemon.cycle_events import event_of_entry
        from reconciler.daemon.views import event_view
        from reconciler.wiring_journal import open_journal

        end = datetime.fromisoformat(before) if before else None
        entries = open_journal(self._settings).entries(vm=self._vm or None, since=since)
        found: list[EventView] = []
        for entry in entries:
            if end is None or entry.at < end:
                found.append(event_view(event_of_entry(entry)))
            if len(found) >= limit:
                break
        return sorted(found, key=lambda event: str(event["at"]))
