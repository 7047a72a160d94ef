"""Sites on the API servers of the run; the servers themselves are `tests/conftest.py`'s, as the contract suite runs on them too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import VM
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.policy import Policy
from tests.cluster.front import Front
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.cluster.site import ClusterSite
from tests.cluster.vm_place import VmPlace, with_one_vm


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of one test's own."""
    yield from cluster.namespace()


@pytest.fixture
def own_plane(cluster: Cluster) -> ControlPlane:
    """The API server of the run, to be killed and started again. One that somebody named is left alone."""
    if cluster.plane is None:
        pytest.skip("this cluster's API server is not ours to kill")
    return cluster.plane


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


@pytest.fixture
def memory_site(emulated: Cluster) -> Iterator[ClusterSite]:
    """The same on the one in memory, where nothing is collected and no controller of another test acts."""
    for name in emulated.namespace():
        yield from _site(emulated, name)


@pytest.fixture
def front(site: ClusterSite, tmp_path: Path) -> Iterator[Front]:
    """A front, with the site's engine behind it."""

    def act(verb: str, namespace: str, name: str) -> None:
        if verb == "start":
            site.hands.run_instance(namespace, name)
        if verb == "stop":
            site.hands.delete("VirtualMachineInstance", namespace, name)
            site.hands.patch(VM, namespace, name, {"spec": {"runStrategy": "Halted"}}, manager="virt-api")
        if verb in ("pause", "unpause"):
            paused = {"type": "Paused", "status": "True" if verb == "pause" else "False"}
            site.hands.set_status("VirtualMachineInstance", namespace, name, {"conditions": [paused]})

    made = Front(site.kubeconfig, act)
    site.engine.close()
    settings = KubevirtSettings(
        kubeconfig=str(made.kubeconfig(tmp_path / "front.kubeconfig", token="first")),
        namespaces=(site.namespace,),
        lease_namespace=site.namespace,
        request_timeout_s=2.0,
    )
    site.engine = KubevirtEngine(settings, site.policy, SystemClock())
    site.engine.observe(None)
    yield made
    site.engine.close()
    made.close()


def _site(cluster: Cluster, namespace: str) -> Iterator[ClusterSite]:
    policy = Policy(owner="contract", host="cluster", on_cluster=True)
    made = ClusterSite(hands=cluster.hands, kubeconfig=cluster.kubeconfig, namespace=namespace, policy=policy)
    yield made
    made.engine.close()


@pytest.fixture
def vm_place(tmp_path: Path, emulated: Cluster) -> Iterator[VmPlace]:
    """A user's place with one VM, on the cluster in memory."""
    yield from with_one_vm(tmp_path, emulated, f"vm-{tmp_path.name}"[:40].rstrip("-").replace("_", "-"))
