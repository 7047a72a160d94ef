"""What goes over the control socket: one JSON object on one line each way, a connection for each request."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.errors import DaemonError

MAX_REQUEST_BYTES = 64 << 10
MAX_RESPONSE_BYTES = 64 << 20
_CHUNK_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """``verb`` is one of `operations.VERBS`; ``asked_by`` is who called sudo, believed only of root."""

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    asked_by: str = ""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of JSON with its line feed."""
    return json.dumps(message, ensure_ascii=True, separators=(",", ":"), default=str).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """A request.

    Raises:
        DaemonError: it is none.
    """
    body = _json_object(line)
    verb, arguments = body.get("verb"), body.get("arguments", {})
    if not isinstance(verb, str) or not isinstance(arguments, dict):
        raise DaemonError("the request is not an object with a verb and arguments.")
    return Request(verb=verb, arguments=arguments, asked_by=str(body.get("asked_by", "")))


def decode_response(line: bytes) -> Mapping[str, Any]:
    """A response.

    Raises:
        DaemonError: it is none.
    """
    return _json_object(line)


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DaemonError("what came over the control socket is not JSON.") from error
    if not isinstance(body, dict):
        raise DaemonError("what came over the control socket is not a JSON object.")
    return body


def read_line(channel: socket.socket, limit_bytes: int) -> bytes:
    """Bytes up to a line feed or the end. The socket's timeout bounds each wait.

    Raises:
        DaemonError: longer than ``limit_bytes``, or nothing came in time.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            chunk = channel.recv(_CHUNK_BYTES)
        except TimeoutError as error:
            raise DaemonError("nothing came over the control socket in time.") from error
        except OSError as error:
            raise DaemonError(f"the control socket broke: {error.strerror}.") from error
        if not chunk:
            break
        line += chunk
        if len(line) > limit_bytes:
            raise DaemonError(f"what came over the control socket is longer than {limit_bytes} bytes.")
    return bytes(line)
