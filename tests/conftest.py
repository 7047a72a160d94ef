"""What the whole suite shares."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

if TYPE_CHECKING:
    from xdist.scheduler import LoadGroupScheduling

CORRECTED = "drift corrected"
"""The property under which a test leaves ``(what, milliseconds)`` for the end of the run."""

# How long an example takes says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the expected files of the golden tests anew; read the difference before committing it."""
    parser.addoption("--update-golden", action="store_true", default=False, help="write the golden files anew")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let commands be interrupted: a run in a shell's background ignores SIGINT, and so would all that it starts.

    A worker has its temporary directories where a single process has them: a socket's path has 107 characters at most.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        config.option.basetemp = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """There is one libvirt, so the tests that use it run one after the other in one worker; first, as they take longest. Those that
    bring a libvirt of their own are a group of their own.
    """
    for item in items:
        if item.get_closest_marker("live") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("libvirt"))
    items.sort(key=lambda item: item.get_closest_marker("live") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadGroupScheduling | None:
    """With ``--dist loadgroup``: a group is one worker's, and of what is in no group a file is."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class GroupsAndFiles(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).split("::")[0]

    return GroupsAndFiles(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The journal's figures."""
    passed = terminalreporter.getreports("passed")
    figures = [value for report in passed for name, value in report.user_properties if name == CORRECTED]
    if figures:
        terminalreporter.section("drift corrected, milliseconds after the event, as the journal says")
        for what, after_ms in figures:
            terminalreporter.write_line(f"{after_ms:6d} ms  {what}")


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Commands set logging up for their process; here it would outlive them and write to a stream that is gone."""
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
