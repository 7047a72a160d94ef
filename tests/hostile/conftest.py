"""Servers for one test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile.servers import HostileServer, Talk


@pytest.fixture
def serve() -> Iterator[Any]:
    """Starts servers; they are gone after the test."""
    servers: list[HostileServer] = []

    def start(talk: Talk, **more: Any) -> HostileServer:
        servers.append(HostileServer(talk, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
