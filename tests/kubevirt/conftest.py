"""KubeVirt's real control plane, once for all tests of it, and a place of each test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.cluster.hands import Hands
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.kubevirt import parts
from tests.kubevirt.nodes import Nodes

_numbers = count(1)


@pytest.fixture(scope="session")
def kubevirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster on which KubeVirt's own webhooks, API and controllers act. Where its programs are not at hand, the test is skipped."""
    if reason := parts.missing():
        pytest.skip(f"no KubeVirt: {reason}")
    directory = tmp_path_factory.mktemp("kubevirt")
    plane = ControlPlane(directory)
    nodes = None
    try:
        plane.start()
        hands = Hands(plane.kubeconfig)
        made = parts.Parts(plane, hands, directory)
        made.start()
        plane.start_garbage_collector(
            "persistentvolume-binder-controller", "persistentvolumeclaim-protection-controller"
        )
        nodes = Nodes(hands, made.kubeconfig(parts.CONTROLLER))
        nodes.start()
        yield Cluster(kubeconfig=plane.kubeconfig, hands=hands, plane=plane)
        assert nodes.fault == ""
    finally:
        if nodes is not None:
            nodes.stop()
        plane.stop()


@pytest.fixture
def namespace(kubevirt: Cluster) -> str:
    """A namespace of one test's own; it goes with the whole cluster."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    kubevirt.hands.make_namespace(name)
    return name
