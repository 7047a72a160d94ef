"""What the whole suite shares."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

    from tests.cluster.planes import Cluster

CORRECTED = "drift corrected"
"""The property under which a test leaves ``(what, milliseconds)`` for the end of the run."""

CONTRACT_RAN_ON = "contract ran on"
"""The property under which a test of the contract suite leaves the cluster that it ran on, for the end of the run."""

GROUPS = {
    "tests/live/killed/": "a libvirt of its own, to be killed",
    "tests/live/": "libvirt",
    "tests/contract/": "libvirt",
    "tests/canary/test_libvirt.py": "libvirt",
    "tests/cluster/": "cluster",
    "tests/kubevirt/": "kubevirt",
}
"""How the names of tests begin that run one after the other in one worker; the first that fits counts."""

ON_CLUSTER = "[kubevirt]"
"""How the names of tests end that run on the API server of the run, wherever they are."""

# How long an example takes, or takes to be thought of, says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
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


def group_of(nodeid: str) -> str:
    """What a worker takes as one piece: tests that share a libvirt or an API server, else those of a file."""
    if nodeid.endswith(ON_CLUSTER):
        return "cluster"
    return next(
        (group for start, group in GROUPS.items() if nodeid.startswith(start)), nodeid.split("::", maxsplit=1)[0]
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs libvirt comes first, as it takes longest."""
    alone = {item.nodeid for item in items if item.get_closest_marker("live") and group_of(item.nodeid).endswith(".py")}
    if alone:
        raise pytest.UsageError(f"tests that are marked live need a group (tests/conftest.py): {sorted(alone)}")
    items.sort(key=lambda item: item.get_closest_marker("live") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """With ``--dist loadfile``: a group is one worker's. (The names that xdist's own groups go by are lost on pytest 9.2.)"""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class GroupsAndFiles(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return GroupsAndFiles(config, log)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One API server for the whole run."""
    from tests.cluster.planes import real

    yield from real(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One in memory."""
    from tests.cluster.planes import in_memory

    yield from in_memory(tmp_path_factory.mktemp("emulated"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The journal's figures, and which clusters the contract suite ran on."""
    passed = terminalreporter.getreports("passed")
    told = [one for report in passed if report.when == "call" for one in report.user_properties]
    figures = [value for name, value in told if name == CORRECTED]
    if figures:
        terminalreporter.section("drift corrected, milliseconds after the event, as the journal says")
        for what, after_ms in figures:
            terminalreporter.write_line(f"{after_ms:6d} ms  {what}")
    clusters = Counter(value for name, value in told if name == CONTRACT_RAN_ON)
    for cluster, number in sorted(clusters.items()):
        terminalreporter.write_line(f"contract suite: {number} tests passed on {cluster}")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test started: those that still run are ended with it."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Commands set logging up for their process; here it would outlive them and write to a stream that is gone. Nor does a test
    begin with what an earlier one left.
    """
    hook = threading.excepthook
    structlog.reset_defaults()
    yield
    threading.excepthook = hook
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
