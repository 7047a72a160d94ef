"""The control socket: how commands on this machine reach the daemon. HTTP changes nothing; only this does.

A unix socket of mode 0600. Besides, the kernel says who the peer is (SO_PEERCRED), and only root and the daemon's own
user are served; the name goes with the request, so that the journal can tell who asked.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from reconciler.daemon import events
from reconciler.daemon.control_protocol import MAX_REQUEST_BYTES, Request, decode_request, encode, read_line
from reconciler.model.errors import DaemonError, GitvirtError, RequirementError

Handler = Callable[[Request, str], Mapping[str, Any]]
"""Serves a request of the named user; raises `GitvirtError` for what cannot be done."""

_MAX_CONNECTIONS = 16
_READ_TIMEOUT_S = 5.0
_PEER = struct.Struct("3i")
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?")
_MAX_PATH_BYTES = 107

_log = structlog.get_logger("gitvirt.control")


class ControlServer:
    """Listens from `start` to `stop`; each connection is served on a thread of its own, a bounded number at a time."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._stopping = False
        self._listener: socket.socket | None = None
        self._node = (0, 0)

    def start(self) -> None:
        """Listen.

        Raises:
            DaemonError: another daemon answers on this socket.
            RequirementError: the socket cannot be made.
        """
        if len(os.fsencode(self._path)) > _MAX_PATH_BYTES - 20:
            raise RequirementError(f"{self._path} is too long for a socket; set a shorter runtimeDirectory.")
        if is_answering(self._path):
            raise DaemonError(
                f"another daemon answers on {self._path}. Stop it, or give this one its own runtimeDirectory."
            )
        self._listen()

    def restore(self) -> bool:
        """Listen anew where somebody removed the socket or its directory; whether it was needed.

        Raises:
            DaemonError: another daemon answers there.
            RequirementError: the socket cannot be made.
        """
        before = self._listener
        if before is None or _node_of(self._path) == self._node:
            return False
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise RequirementError(f"runtimeDirectory {self._path.parent} cannot be made: {error.strerror}.") from error
        self.start()
        _close(before)
        return True

    def _listen(self) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # The socket must not be open to others for an instant, and appears under its name when it is ready.
        before = os.umask(0o177)
        try:
            draft.unlink(missing_ok=True)
            listener.bind(str(draft))
            listener.listen(_MAX_CONNECTIONS)
            self._node = _node_of(draft)
            draft.replace(self._path)
        except OSError as error:
            listener.close()
            raise RequirementError(
                f"the control socket {self._path} cannot be made: {error.strerror}. Run as root, or set runtimeDirectory."
            ) from error
        finally:
            os.umask(before)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()

    def stop(self) -> None:
        """Listen no more; requests under way are answered."""
        self._stopping = True
        if self._listener is not None:
            # The name goes first: a command that comes now finds no daemon instead of a closed door.
            if _node_of(self._path) == self._node:
                self._path.unlink(missing_ok=True)
            _close(self._listener)
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping:
            try:
                channel, _ = listener.accept()
            except OSError:
                return
            if not self._free.acquire(blocking=False):
                channel.close()
                _log.warning(events.REQUEST_REFUSED, reason=f"more than {_MAX_CONNECTIONS} connections at once")
                continue
            threading.Thread(target=self._serve, args=(channel,), name="request", daemon=True).start()

    def _serve(self, channel: socket.socket) -> None:
        try:
            with channel:
                channel.settimeout(_READ_TIMEOUT_S)
                answer = self._answer(channel)
                try:
                    if answer is not None:
                        channel.sendall(encode(answer))
                except OSError as error:
                    _log.info(
                        events.REQUEST_REFUSED, reason=f"the caller did not wait for the answer: {error.strerror}"
                    )
        finally:
            self._free.release()

    def _answer(self, channel: socket.socket) -> Mapping[str, Any] | None:
        """The answer; None for a caller that only knocked."""
        pid, uid = peer_of(channel)
        try:
            line = read_line(channel, MAX_REQUEST_BYTES)
            if not line:
                return None
            if uid not in (0, os.geteuid()):
                raise DaemonError("only root and the daemon's own user may ask; use sudo.")
            request = decode_request(line)
            user = user_name(uid, request.asked_by)
            result = self._handler(request, user)
        except GitvirtError as fault:
            _log.info(events.REQUEST_REFUSED, reason=str(fault), uid=uid, pid=pid)
            return fault_answer(fault)
        _log.debug(events.REQUEST_SERVED, verb=request.verb, user=user)
        return {"ok": True, "result": result}


def _close(listener: socket.socket) -> None:
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        _log.debug(events.REQUEST_REFUSED, reason=str(error))
    listener.close()


def _node_of(path: Path) -> tuple[int, int]:
    """Device and number of the file that stands under a name; zeros for none."""
    try:
        found = path.lstat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def fault_answer(fault: GitvirtError) -> Mapping[str, Any]:
    """A fault as a response."""
    return {"ok": False, "error": {"message": str(fault), "exit_code": fault.exit_code}}


def peer_of(channel: socket.socket) -> tuple[int, int]:
    """(pid, uid) of who connected, as the kernel knows them."""
    pid, uid, _ = _PEER.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid


def user_name(uid: int, asked_by: str = "") -> str:
    """The user's name, ``uid 1234`` for one without, and for root behind sudo ``root (sudo by alice)``."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    if uid == 0 and asked_by and asked_by != name and _USER_NAME.fullmatch(asked_by):
        return f"{name} (sudo by {asked_by})"
    return name


def is_answering(path: Path) -> bool:
    """Whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_READ_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
