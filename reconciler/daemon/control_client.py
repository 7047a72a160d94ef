"""How a command on this machine asks the daemon."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.daemon.control_protocol import MAX_RESPONSE_BYTES, decode_response, encode, read_line
from reconciler.model.errors import DaemonError

TIMEOUT_S = 120.0


class RemoteFaultError(DaemonError):
    """The daemon answered that it could not; carries the exit code of its fault."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def ask(
    path: Path, verb: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> Any | None:
    """The result of a verb; None when no daemon listens on ``path``.

    Raises:
        RemoteFaultError: the daemon refused or failed.
        DaemonError: it is there and may not be asked, or its answer made no sense.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as channel:
        channel.settimeout(timeout_s)
        try:
            channel.connect(str(path))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except PermissionError as error:
            raise DaemonError(f"you may not ask the daemon at {path}; use sudo.") from error
        except OSError as error:
            raise DaemonError(f"the daemon at {path} does not answer: {error}.") from error
        request = {"verb": verb, "arguments": dict(arguments or {}), "asked_by": os.environ.get("SUDO_USER", "")}
        try:
            channel.sendall(encode(request))
        except OSError as error:
            raise DaemonError(f"the daemon at {path} hung up: {error.strerror}. It may be busy; ask again.") from error
        line = read_line(channel, MAX_RESPONSE_BYTES)
    if not line:
        raise DaemonError(f"the daemon at {path} hung up without an answer. It may be stopping or busy; ask again.")
    response = decode_response(line)
    if response.get("ok"):
        return response.get("result")
    error_body = response.get("error") or {}
    raise RemoteFaultError(
        str(error_body.get("message", "the daemon gave no reason")), int(error_body.get("exit_code", 16))
    )
