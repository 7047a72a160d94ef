"""The serial console of a running guest, as a stream of bytes: `Engine.console`."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import libvirt

from nodeexec.libvirt.errors import translate
from reconciler.model.errors import EngineError

_CHUNK = 4096
NOT_YET = "not yet assigned"
"""How libvirt says that the guest is just being started."""


class GuestConsole:
    """One session. What the guest says is pumped into a socket, so that whoever reads can wait for it beside other things.
    libvirt gives a guest's console to one session at a time; its log goes on beside it.
    """

    def __init__(self, connection: Any, domain: Any, *, take_over: bool) -> None:
        """Raises libvirt.libvirtError when libvirt refuses."""
        self._stream = connection.newStream(0)
        flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if take_over else libvirt.VIR_DOMAIN_CONSOLE_SAFE
        domain.openConsole(None, self._stream, flags)
        self._mine, self._theirs = socket.socketpair()
        self._ended = False
        self._pump = threading.Thread(target=self._receive_all, name="console", daemon=True)
        self._pump.start()

    def fileno(self) -> int:
        """Readable when the guest has said something, or the session has ended."""
        return self._mine.fileno()

    def receive(self) -> bytes:
        """What the guest said since; empty when the session has ended (the guest stopped, or somebody took it over)."""
        try:
            return self._mine.recv(_CHUNK)
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Keys for the guest.

        Raises:
            EngineError: the session has ended.
        """
        while data:
            try:
                sent = self._stream.send(data)
            except libvirt.libvirtError as error:
                raise EngineError(translate(error, "sending to the console").message) from error
            if sent <= 0:
                raise EngineError("the console does not take keys any more.")
            data = data[sent:]

    def close(self) -> None:
        """End the session; the guest goes on."""
        if not self._ended:
            self._ended = True
            with suppress(libvirt.libvirtError):
                self._stream.abort()
        self._pump.join(2.0)
        self._mine.close()

    def _receive_all(self) -> None:
        try:
            while data := self._stream.recv(_CHUNK):
                if not isinstance(data, bytes):
                    return  # -2: nothing there, which a blocking stream never says
                self._theirs.sendall(data)
        except (libvirt.libvirtError, OSError):
            return  # the guest stopped, the session was taken over, or nobody reads any more
        finally:
            self._theirs.close()
