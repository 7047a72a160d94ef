"""What a cluster remembers of deleted VMs: one ConfigMap of gitvirt's own, written before each deletion.

A deleted VM leaves nothing that could be counted, and the blast radius counts those of an hour. The record is read when an engine
starts, so that a restart, a fail-over and an empty state directory change nothing; only the replica that acts writes it.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

from nodeexec.kubevirt.deletion_text import read_record, recorded, with_deletion
from nodeexec.kubevirt.errors import ApiError, UnreachableError
from nodeexec.kubevirt.own_maps import CONFLICT, NOT_FOUND, OwnMap, OwnMaps
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Deletion
from reconciler.model.outcome import Outcome, Result
from reconciler.ports import Clock

READ_AGAIN_S = 10.0
"""Pause between two attempts to read a record that could not be read."""

_FIELD = "deletions"
_ABOUT = "VMs that gitvirt deleted within the hour or so, as its blast radius counts them. Deleting this forgets them."


class Deletions:
    """The record. ``fault`` says why it is not known; empty when it is. May be used from several threads."""

    def __init__(self, maps: OwnMaps, clock: Clock, *, name: str, window_s: float) -> None:
        """Nothing is asked yet. ``window_s`` is for how long a deletion counts."""
        self._maps, self._clock, self._name = maps, clock, name
        self._window = timedelta(seconds=window_s)
        self._lock = Lock()
        self._known: tuple[Deletion, ...] | None = None
        self._version = ""
        self._read_at_s: float | None = None
        self.fault = ""

    def known(self) -> tuple[Deletion, ...]:
        """Everything in the record, also what does not count any more; nothing while there is a ``fault``. Asks the server only where
        it is not known yet.
        """
        with self._lock:
            now_s = self._clock.monotonic()
            is_due = self._read_at_s is None or now_s - self._read_at_s >= READ_AGAIN_S
            if self._known is None and is_due:
                self._read_at_s = now_s
                self._try_to_read()
            return self._known or ()

    def note(self, key: ObjectKey) -> Outcome | None:
        """Remember a deletion that is about to be done; an outcome when it must not be done.

        Raises:
            ApiError, UnreachableError: it could not be written down.
        """
        with self._lock:
            if self._known is None:
                self._try_to_read()
            if self._known is None:
                return Outcome(result=Result.RETRY, reason=self.fault, retry_after_s=READ_AGAIN_S)
            before = self._known
            try:
                self._write(with_deletion(before, self._fresh(key), window=self._window))
            except ApiError as error:
                if error.status == NOT_FOUND and not self._version:
                    return Outcome(
                        result=Result.FAILED,
                        reason=self._maps.no_namespace("the record of deletions"),
                        retry_after_s=None,
                    )
                if error.status not in (NOT_FOUND, CONFLICT):
                    raise
                self._known = None
            else:
                return None
            # Somebody wrote it, or it is gone: what counts may be another matter now, so that this is planned again.
            self._try_to_read()
            self._known = _joined(before, self._known or ()) if not self.fault else None
        said = f"the record of deletions ({self._shown}) changed since {key} was planned; planned again"
        return Outcome(result=Result.CONFLICT, reason=said, retry_after_s=1.0)

    def _fresh(self, key: ObjectKey) -> Deletion:
        return Deletion(key=key, at=self._clock.now().replace(microsecond=0))

    def _try_to_read(self) -> None:
        try:
            self._take(self._maps.read(self._name))
            self.fault = ""
        except ApiError as error:
            self._known, self.fault = None, self._unknown(error.outcome.reason)
        except UnreachableError as error:
            self._known, self.fault = None, self._unknown(str(error))
        except ValueError as error:
            said = f"ConfigMap {self._shown} is not as gitvirt writes it ({error}); delete it, and counting begins anew"
            self._known, self.fault = None, self._unknown(said)

    def _write(self, record: tuple[Deletion, ...]) -> None:
        """Write all of it, where nobody else has meanwhile; what becomes of a lost answer is read later."""
        self._known = None
        data = {_FIELD: recorded(record), "about": _ABOUT}
        if self._version:
            self._take(self._maps.change(self._name, data, version=self._version))
        else:
            self._take(self._maps.create(self._name, data))

    def _take(self, found: OwnMap | None) -> None:
        self._version = found.version if found is not None else ""
        self._known = read_record(found.data.get(_FIELD) or "") if found is not None else ()

    @property
    def _shown(self) -> str:
        return self._maps.shown(self._name)

    def _unknown(self, reason: str) -> str:
        return f"what was deleted within the hour is not known, so that no VM is deleted: {reason}"


def _joined(ours: tuple[Deletion, ...], theirs: tuple[Deletion, ...]) -> tuple[Deletion, ...]:
    """Both, the later one of each object."""
    latest: dict[ObjectKey, Deletion] = {}
    for one in sorted((*ours, *theirs), key=lambda one: one.at):
        latest[one.key] = one
    return tuple(latest.values())
