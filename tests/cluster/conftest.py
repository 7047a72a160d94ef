"""Sites on the API servers of the run; the servers themselves are `tests/conftest.py`'s, as the contract suite runs on them too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model.policy import Policy
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of one test's own."""
    yield from cluster.namespace()


@pytest.fixture(params=["real", "emulated"])
def either(request: pytest.FixtureRequest) -> Cluster:
    """The real cluster, and the one in memory that is held to it."""
    found: Cluster = request.getfixturevalue("cluster" if request.param == "real" else "emulated")
    return found


@pytest.fixture
def own_namespace(either: Cluster) -> Iterator[str]:
    """A namespace of one test's own, on either."""
    yield from either.namespace()


@pytest.fixture
def site(either: Cluster, own_namespace: str) -> Iterator[ClusterSite]:
    """An engine on a namespace of its own, on either."""
    yield from _site(either, own_namespace)


@pytest.fixture
def real_site(cluster: Cluster, namespace: str) -> Iterator[ClusterSite]:
    """The same on the real one alone."""
    yield from _site(cluster, namespace)


def _site(cluster: Cluster, namespace: str) -> Iterator[ClusterSite]:
    policy = Policy(owner="contract", host="cluster", on_cluster=True)
    made = ClusterSite(hands=cluster.hands, kubeconfig=cluster.kubeconfig, namespace=namespace, policy=policy)
    yield made
    made.engine.close()
