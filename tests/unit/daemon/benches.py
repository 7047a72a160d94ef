"""A home with everything of a daemon but the daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.daemon.operations import Operations
from reconciler.daemon.wake import Wake
from reconciler.wiring import Core, InlineTurn, build_core
from tests.unit.daemon.homes import Home, make_home, vm_text


class Bench:
    """A home with its core, and a way to ask."""

    def __init__(self, directory: Path) -> None:
        self.home: Home = make_home(directory, {"web.yaml": vm_text("web"), "db.yaml": vm_text("db")})
        self.core: Core = build_core(self.home.settings)
        self.operations: Operations = self.core.operations(InlineTurn(self.core.cycle), self.home.settings)

    def ask(self, verb: str, **arguments: Any) -> Any:
        """A verb's answer, as it would come over the socket."""
        return json.loads(json.dumps(self.operations.serve(verb, arguments, "ann")))

    @property
    def host(self) -> Host:
        """The simulated host."""
        assert isinstance(self.core.engine, SimulatedEngine)
        return self.core.engine._host

    def state(self, name: str) -> str:
        """A VM's printable status."""
        return str(self.ask("get", kind="vm", name=name)["objects"][0]["status"])

    def settle(self, done: Callable[[], bool]) -> None:
        """Cycles until something is true. The host's time passes by leaps, so what waits for a retry is named."""
        clock = self.host.clock
        for _ in range(60):
            if done():
                return
            clock.advance(2.0)
            keys = frozenset(status.key for status in self.core.cycle.status())
            self.core.cycle.run(Wake(everything=True, keys=keys))
        raise AssertionError("it did not settle")


def verbs_told(bench: Bench) -> list[tuple[str, str]]:
    return [
        (str(entry.action), entry.author) for entry in bench.core.journal.entries() if str(entry.cause) == "operator"
    ]
