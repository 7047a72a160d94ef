"""The webhook: whoever has the secret may say "look now", and nothing else. What the request says is not read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus
from pathlib import Path

from reconciler.model.errors import RequirementError
from reconciler.web.webhook_signatures import Headers, is_authentic

WEBHOOK = "/webhook"
SHORTEST_SECRET = 16
WAKE_INTERVAL_S = 2.0
"""At most so often a source is looked at because of webhooks; those that come sooner are served by one look later."""
TELL_INTERVAL_S = 10.0
_AT_A_TIME = 4
_MAX_FILE_BYTES = 64 * 1024


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets of a file, one a line; several hold while one takes the place of another.

    Raises:
        RequirementError: it cannot be read, or holds none that could be used.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RequirementError(f"web.webhook.secretFile {path} cannot be read: {error.strerror}.") from error
    found = tuple(secret for line in data.split(b"\n") if (secret := line.strip()))
    if not found or len(data) > _MAX_FILE_BYTES or any(len(secret) < SHORTEST_SECRET for secret in found):
        raise RequirementError(
            f"web.webhook.secretFile {path} must hold one secret a line, each of {SHORTEST_SECRET} characters or more; "
            "`openssl rand -hex 32` makes one."
        )
    return found


class Reception(Enum):
    """What becomes of a request: it wakes, proves nothing, or finds nobody who could hear it just now."""

    TAKEN = HTTPStatus.ACCEPTED
    REFUSED = HTTPStatus.FORBIDDEN
    UNHEARD = HTTPStatus.SERVICE_UNAVAILABLE


class Webhook:
    """Judges requests and wakes. May be used from several threads."""

    def __init__(
        self,
        *,
        secret_file: Path,
        names: Collection[str],
        wake: Callable[[str], bool],
        refused: Callable[[str, str, int], None],
        monotonic: Callable[[], float],
    ) -> None:
        """``names`` are those of the sources; ``wake`` gets one of them, or nothing for all, and says
        whether anybody heard it. ``refused`` is told, now and
        then, why and from where a request was refused, and how many have been since it was last told.
        """
        self._secret_file, self._names = secret_file, frozenset(names)
        self._wake, self._refused, self._monotonic = wake, refused, monotonic
        self._places = threading.BoundedSemaphore(_AT_A_TIME)
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._untold, self._tell_at = 0, 0.0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A few requests are read at a time; whether this one may be."""
        is_free = self._places.acquire(blocking=False)
        try:
            yield is_free
        finally:
            if is_free:
                self._places.release()

    def receive(self, name: str, headers: Headers, body: bytes, peer: str) -> Reception:
        """Wake the source of that name (all, when it is empty) if the request is authentic."""
        try:
            reason = "" if is_authentic(headers, body, read_secrets(self._secret_file)) else "no signature that fits"
        except RequirementError as fault:
            reason = str(fault)
        if not reason and name and name not in self._names:
            reason = "there is no source of that name"
        if reason:
            self._tell(reason, peer)
            return Reception.REFUSED
        return Reception.TAKEN if self._wake_soon(name) else Reception.UNHEARD

    def _wake_soon(self, name: str) -> bool:
        with self._lock:
            if name in self._waiting:
                return True
            now_s = self._monotonic()
            wait_s = self._not_before.get(name, 0.0) - now_s
            self._not_before[name] = max(now_s, self._not_before.get(name, 0.0)) + WAKE_INTERVAL_S
            if wait_s > 0:
                self._waiting.add(name)
        if wait_s > 0:
            timer = threading.Timer(wait_s, self._wake_late, [name])
            timer.daemon = True
            timer.start()
            return True
        return self._wake(name)

    def _wake_late(self, name: str) -> None:
        with self._lock:
            self._waiting.discard(name)
        self._wake(name)

    def _tell(self, reason: str, peer: str) -> None:
        with self._lock:
            self._untold += 1
            now_s = self._monotonic()
            if now_s < self._tell_at:
                return
            count, self._untold, self._tell_at = self._untold, 0, now_s + TELL_INTERVAL_S
        self._refused(reason, peer, count)
