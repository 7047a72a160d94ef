"""The serial console of a real guest, on a terminal of a test's own: typed at, left, and never in the guest's way."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Session:
    """``gitvirt console`` on a pseudo-terminal."""

    def __init__(self, world: World, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "--settings", str(world.settings), "console", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, pattern: str, limit_s: float = 120.0, again: str = "") -> None:
        """Read until the pattern comes; ``again`` is typed every two seconds meanwhile (a guest may not listen yet)."""
        deadline, next_key = time.monotonic() + limit_s, time.monotonic()
        while not re.search(pattern, self.said):
            assert time.monotonic() < deadline, f"{pattern!r} did not come: {self.said[-2000:]!r}"
            assert self.process.poll() is None, self.said
            if again and time.monotonic() >= next_key:
                self.type(again)
                next_key = time.monotonic() + 2
            if select.select([self.master], [], [], 0.2)[0]:
                self.said += os.read(self.master, 4096).decode(errors="replace")

    def ended(self, limit_s: float = 90.0) -> int:
        code = self.process.wait(limit_s)
        assert termios.tcgetattr(self._slave)[:4] == self.before[:4], "the terminal was not given back as it was"
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self._slave)


@contextmanager
def session(world: World, *arguments: str) -> Iterator[Session]:
    made = Session(world, *arguments)
    try:
        yield made
    finally:
        made.close()


def test_a_console_is_typed_at_and_left_and_the_guest_goes_on(alpha: World) -> None:
    boot = alpha.boot_id("alpha")
    alpha.guest("alpha", "sed -i 's/^root:[^:]*:/root::/' /etc/shadow")
    with session(alpha, "alpha") as console:
        console.until("connected")
        console.until("login: ", again="\r")
        console.type("root\r")
        console.until("~# ")
        console.type("echo six=$((2*3))\r")
        console.until("six=6")
        console.process.send_signal(signal.SIGWINCH)
        console.type("echo sleeps=$((5*9)); sleep 100\r")
        console.until("sleeps=45")  # from here on ^C is a signal, and no key of the line's editor
        console.type("\x03")
        console.type("echo still=$((1+1))\r")
        console.until("still=2")

        # Somebody else is told so, and the log is written beside the session.
        with session(alpha, "alpha") as other:
            assert other.process.wait(90) != 0
        assert "six=6" in alpha.cli("logs", "--vm", "alpha", "--tail", "40")
        with session(alpha, "alpha", "--read-only", "--force") as watcher:
            watcher.until("connected")
            console.until("taken|took it over")
            watcher.type("echo unheard\r")
            time.sleep(1.5)  # the first one tries to come back meanwhile, and goes on waiting
            watcher.type("\x03")
            assert watcher.ended() == 0
        console.until("connected again")
        console.type("echo heard=$((4+5))\r")
        console.until("heard=9")
        assert "unheard" not in alpha.cli("logs", "--vm", "alpha", "--tail", "40")
        console.type("\x1d")
        assert console.ended() == 0
    assert alpha.boot_id("alpha") == boot


def test_a_signal_and_a_stopped_guest_give_the_terminal_back(alpha: World) -> None:
    with session(alpha, "alpha") as console:
        console.until("connected")
        time.sleep(0.5)
        alpha.domain("alpha").destroy()
        console.until("the console ended")
        console.until("connected again")
        console.process.send_signal(signal.SIGTERM)
        assert console.ended() == 128 + signal.SIGTERM
    alpha.until_running("alpha")
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "--settings", str(alpha.settings), "console", "alpha"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "needs a terminal" in done.stderr) == (17, True)
    with session(alpha, "nothing") as console:
        assert console.ended() == 13
