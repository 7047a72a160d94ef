"""The connection to libvirtd: one event loop a process, one connection an engine, made again when it is lost.

Losing libvirtd never touches a guest: QEMU processes are not its children's business, and the next connection finds
them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import libvirt
import structlog

from nodeexec.libvirt.errors import translate
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.errors import EngineError

_log = structlog.get_logger("gitvirt.libvirt")
_loop_lock = threading.Lock()
_loop_thread: threading.Thread | None = None


def start_event_loop() -> None:
    """Run libvirt's event loop in a daemon thread, once a process and before the first connection is opened."""
    global _loop_thread  # noqa: PLW0603  (libvirt's event loop is one for the whole process, too)
    with _loop_lock:
        if _loop_thread is not None:
            return
        libvirt.registerErrorHandler(_keep_quiet, None)
        libvirt.virEventRegisterDefaultImpl()
        _loop_thread = threading.Thread(target=_run_event_loop, name="libvirt-events", daemon=True)
        _loop_thread.start()


def _run_event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _keep_quiet(_context: object, _error: object) -> None:
    """libvirt would print every error to standard error; ours travel as exceptions."""


class Connection:
    """Opens on first use, and again by itself after a loss (with back-off). Safe to use from several threads.

    ``on_open`` runs for each new connection, before anyone gets it (events are registered there); ``on_lost`` runs when
    one breaks, ``on_let_go`` when one is not used any more (events are taken back there).
    """

    def __init__(
        self,
        settings: LibvirtSettings,
        *,
        on_open: Callable[[Any], None],
        on_lost: Callable[[], None],
        on_let_go: Callable[[Any], None],
    ) -> None:
        self._settings = settings
        self._on_open = on_open
        self._on_lost = on_lost
        self._on_let_go = on_let_go
        self._lock = threading.RLock()
        self._connection: Any = None
        self._closed = threading.Event()
        self._reconnector: threading.Thread | None = None

    def get(self) -> Any:
        """The open ``virConnect``.

        Raises:
            EngineError: libvirtd cannot be reached now; one sentence says what to do.
        """
        with self._lock:
            if self._closed.is_set():
                raise EngineError(f"the connection to {self._settings.uri} was closed")
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    def close(self) -> None:
        """Let go of the connection; it is not opened again."""
        self._closed.set()
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._let_go(connection)
        if self._reconnector is not None and self._reconnector is not threading.current_thread():
            self._reconnector.join(timeout=2.0)

    def mark_lost(self) -> None:
        """Somebody's request found the connection dead: drop it now rather than when the keep-alive notices."""
        with self._lock:
            connection = self._connection
            if connection is None or _is_alive(connection):
                return
        self._drop(connection)

    def _open(self) -> Any:
        start_event_loop()
        uri = self._settings.uri
        try:
            connection = libvirt.open(uri)
        except libvirt.libvirtError as error:
            said = translate(error, f"opening {uri}").message
            raise EngineError(
                f"libvirt cannot be reached: {said}. Start it (systemctl start libvirtd, or deploy/host/prepare where "
                f"no service manager runs) and see that this user may use it (root, or the libvirt group)."
            ) from error
        try:
            connection.registerCloseCallback(self._closed_by_peer, None)
            if self._settings.keepalive_interval_s:
                connection.setKeepAlive(self._settings.keepalive_interval_s, self._settings.keepalive_count)
            self._on_open(connection)
        except libvirt.libvirtError as error:
            self._let_go(connection)
            raise EngineError(f"libvirt went away again: {translate(error, f'opening {uri}').message}") from error
        _log.info("connection.opened", uri=uri)
        return connection

    def _closed_by_peer(self, connection: Any, reason: int, _opaque: object) -> None:
        """Called in the event loop's thread, which must not wait: the rest happens in a thread of its own."""
        threading.Thread(target=self._drop, args=(connection,), name="libvirt-lost", daemon=True).start()
        _log.warning("connection.lost", uri=self._settings.uri, reason=reason)

    def _drop(self, connection: Any) -> None:
        with self._lock:
            if self._connection is None or (self._connection is not connection and _is_alive(self._connection)):
                return
            lost, self._connection = self._connection, None
            if self._closed.is_set():
                return
            if self._reconnector is None or not self._reconnector.is_alive():
                self._reconnector = threading.Thread(target=self._reconnect, name="libvirt-reconnect", daemon=True)
                self._reconnector.start()
        self._on_lost()
        self._let_go(lost)

    def _let_go(self, connection: Any) -> None:
        """Nothing of ours refers to it any more. It is never closed by hand: another thread may be in the middle of a
        call, and libvirt would free what that call works on. Its last reference closes it.
        """
        _quietly(connection.unregisterCloseCallback)
        self._on_let_go(connection)

    def _reconnect(self) -> None:
        """Try until it works, so that events flow again although nobody asks for the connection."""
        delay_s = self._settings.connect_backoff_first_s
        while not self._closed.wait(delay_s):
            try:
                self.get()
                return
            except EngineError:
                delay_s = min(delay_s * 2, self._settings.connect_backoff_most_s)


def _is_alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _quietly(call: Callable[[], object]) -> None:
    """For goodbyes to a connection that may be dead already."""
    try:
        call()
    except libvirt.libvirtError as error:
        _log.debug("connection.goodbye_failed", error=str(error))
