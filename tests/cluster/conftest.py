"""An API server for the tests of a cluster: a running one (``KUBECONFIG_TEST``), else one that is started here, else none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from reconciler.model.policy import Policy
from tests.cluster import servers
from tests.cluster.emulator import Emulator
from tests.cluster.hands import Hands
from tests.cluster.site import ClusterSite

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


def why_none() -> str:
    """Why there is no API server; empty when there is."""
    if os.environ.get(RUNNING):
        return ""
    reason = servers.missing()
    return f"no API server: {reason}, and {RUNNING} names no cluster" if reason else ""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the whole run."""
    reason = why_none()
    if reason:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, but {reason}")
        pytest.skip(reason)
    running = os.environ.get(RUNNING)
    if running:
        yield Cluster(kubeconfig=Path(running), hands=Hands(Path(running)), plane=None)
        return
    plane = servers.ControlPlane(tmp_path_factory.mktemp("cluster"))
    try:
        plane.start()
        hands = Hands(plane.kubeconfig)
        hands.install_definitions()
        yield Cluster(kubeconfig=plane.kubeconfig, hands=hands, plane=plane)
    finally:
        plane.stop()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of one test's own."""
    yield from _namespace(cluster)


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in memory, on every machine."""
    made = Emulator(tmp_path_factory.mktemp("emulated"))
    yield Cluster(kubeconfig=made.kubeconfig, hands=Hands(made.kubeconfig), plane=None, in_memory=True)
    made.close()


@pytest.fixture(params=["real", "emulated"])
def either(request: pytest.FixtureRequest) -> Cluster:
    """The real cluster, and the one in memory that is held to it."""
    found: Cluster = request.getfixturevalue("cluster" if request.param == "real" else "emulated")
    return found


@pytest.fixture
def own_namespace(either: Cluster) -> Iterator[str]:
    """A namespace of one test's own, on either."""
    yield from _namespace(either)


@pytest.fixture
def site(either: Cluster, own_namespace: str) -> Iterator[ClusterSite]:
    """An engine on a namespace of its own, on either."""
    yield from _site(either, own_namespace)


@pytest.fixture
def real_site(cluster: Cluster, namespace: str) -> Iterator[ClusterSite]:
    """The same on the real one alone."""
    yield from _site(cluster, namespace)


def _namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{os.getpid()}-{next(_numbers)}"
    cluster.hands.make_namespace(name)
    yield name
    if not cluster.in_memory:
        cluster.hands.clear(name)


def _site(cluster: Cluster, namespace: str) -> Iterator[ClusterSite]:
    policy = Policy(owner="contract", host="cluster", on_cluster=True)
    made = ClusterSite(hands=cluster.hands, kubeconfig=cluster.kubeconfig, namespace=namespace, policy=policy)
    yield made
    made.engine.close()
