"""Clusters that tests run on: a running one (``KUBECONFIG_TEST``), else one that is started here, else none; and one in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.cluster import servers
from tests.cluster.emulator import Emulator
from tests.cluster.hands import Hands

RUNNING = "KUBECONFIG_TEST"
REQUIRED = "GITVIRT_REQUIRE_CLUSTER"
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster with the kinds of KubeVirt, CDI and Multus. ``plane`` is ours to break; None where it is somebody's."""

    kubeconfig: Path
    hands: Hands
    plane: servers.ControlPlane | None
    in_memory: bool = False

    def namespace(self) -> Iterator[str]:
        """A namespace of one test's own; empty afterwards."""
        name = f"test-{os.getpid()}-{next(_numbers)}"
        self.hands.make_namespace(name)
        yield name
        if not self.in_memory:
            self.hands.clear(name)


def why_none() -> str:
    """Why there is no API server; empty when there is."""
    if os.environ.get(RUNNING):
        return ""
    reason = servers.missing()
    return f"no API server: {reason}, and {RUNNING} names no cluster" if reason else ""


def is_required() -> bool:
    """Whether the environment says that there has to be one."""
    return os.environ.get(REQUIRED) == "1"


def real(directory: Path) -> Iterator[Cluster]:
    """The real one. Without any the test is skipped; it fails where the environment says that there has to be one."""
    reason = why_none()
    if reason:
        if is_required():
            pytest.fail(f"{REQUIRED}=1, but {reason}")
        pytest.skip(reason)
    running = os.environ.get(RUNNING)
    if running:
        yield Cluster(kubeconfig=Path(running), hands=Hands(Path(running)), plane=None)
        return
    plane = servers.ControlPlane(directory)
    try:
        plane.start()
        hands = Hands(plane.kubeconfig)
        hands.install_definitions()
        yield Cluster(kubeconfig=plane.kubeconfig, hands=hands, plane=plane)
    finally:
        plane.stop()


def in_memory(directory: Path) -> Iterator[Cluster]:
    """One in memory, on every machine."""
    made = Emulator(directory)
    yield Cluster(kubeconfig=made.kubeconfig, hands=Hands(made.kubeconfig), plane=None, in_memory=True)
    made.close()
