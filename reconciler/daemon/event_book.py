"""The latest events of a daemon, in memory, for those who ask and those who wait for more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.daemon.arguments import Arguments
from reconciler.daemon.cycle import CycleReport
from reconciler.daemon.cycle_events import CycleEvents
from reconciler.daemon.views import event_view, time_text
from reconciler.model.event import Event
from reconciler.model.status import ObjectStatus

EVENTS_VERB = "events"
KEPT = 5000
LONGEST_WAIT_S = 30.0


class EventBook:
    """Fed from the cycle's thread, read from any. Events are numbered from 1; older ones than the last `KEPT` are forgotten
    (the journal has what they did).
    """

    def __init__(self, began_at: datetime) -> None:
        """``began_at`` is when the daemon began; it names the book, too."""
        self._began_at = began_at
        self._events: deque[tuple[int, Event]] = deque(maxlen=KEPT)
        self._last = 0
        self._changed = threading.Condition()
        self._source = CycleEvents()

    def __call__(self, report: CycleReport, statuses: Iterable[ObjectStatus]) -> None:
        """Hear of a cycle."""
        found = self._source.of(report, statuses)
        if not found:
            return
        with self._changed:
            for event in found:
                self._last += 1
                self._events.append((self._last, event))
            self._changed.notify_all()

    def serve(self, arguments: Arguments) -> Mapping[str, Any]:
        """Events after a number of this book, waiting a while for the first one; of another daemon's book all there are.

        Raises:
            DaemonError: an argument is not as it must be.
        """
        name, book = time_text(self._began_at), arguments.text("book")
        after, wait_s = arguments.number("after"), arguments.seconds("wait_s")
        arguments.finish()
        after = after if book in ("", name) else 0
        with self._changed:
            self._changed.wait_for(lambda: self._last > after, min(wait_s or 0.0, LONGEST_WAIT_S))
            events = [event_view(event) for number, event in self._events if number > after]
            return {"book": name, "last": self._last, "events": events}
