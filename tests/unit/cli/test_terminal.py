"""A terminal handed through to a guest: keys and words both ways, and given back as it was however it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.unit.daemon.parts import PATIENCE_S

ECHO = """
import socket, sys, threading
from reconciler.cli.terminal import hand_through, raw_terminal

class Guest:
    def __init__(self):
        self.mine, self.theirs = socket.socketpair()
    def fileno(self):
        return self.mine.fileno()
    def receive(self):
        return self.mine.recv(4096)
    def send(self, data):
        if b"off" in data:
            self.theirs.close()
        else:
            self.theirs.sendall(b"<" + data + b">")
    def close(self):
        self.mine.close()

with raw_terminal():
    sys.stdout.write("ready"); sys.stdout.flush()
    left = hand_through(Guest(), read_only="--read-only" in sys.argv)
print("left" if left else "ended")
"""


class Terminal:
    def __init__(self, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", ECHO, *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave
        )
        self.said = b""

    def until(self, words: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += os.read(self.master, 4096)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self) -> int:
        code = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self.slave)[:4] == self.before[:4]
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def test_keys_go_through_raw_and_ctrl_bracket_leaves() -> None:
    terminal = Terminal()
    try:
        terminal.until(b"ready")
        terminal.type(b"\x03ls\r")
        terminal.until(b"<\x03ls\r>")
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.type(b"last\x1dnever")
        terminal.until(b"left")
        assert b"never>" not in terminal.said
        assert terminal.ended() == 0
    finally:
        terminal.close()


def test_watching_sends_nothing_and_ctrl_c_leaves() -> None:
    terminal = Terminal("--read-only")
    try:
        terminal.until(b"ready")
        terminal.type(b"unheard")
        time.sleep(0.2)
        terminal.type(b"\x03")
        terminal.until(b"left")
        assert b"<" not in terminal.said
        assert terminal.ended() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(number: signal.Signals) -> None:
    terminal = Terminal()
    try:
        terminal.until(b"ready")
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number
    finally:
        terminal.close()


def test_a_guest_that_ends_is_told() -> None:
    terminal = Terminal()
    try:
        terminal.until(b"ready")
        terminal.type(b"off")
        terminal.until(b"ended")
        assert terminal.ended() == 0
    finally:
        terminal.close()
