"""Replicas on a real API server: one acts, another takes over in time, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.kinds import VM
from nodeexec.kubevirt.leadership import LeaseLeadership
from nodeexec.kubevirt.lease import Lease, LeaseTimes
from nodeexec.kubevirt.lease_api import ClusterLease
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.errors import EngineError
from tests.cluster.hands import wait_until
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.replicas import Replica

SHORT = LeaseTimes(duration_s=2, act_s=1.3, renew_s=0.3, look_s=0.1)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


@pytest.fixture
def home(cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A repository with one VM, for the real engine."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", str(Path.cwd())))
    engine = {"kubeconfig": str(cluster.kubeconfig), "namespaces": [namespace], "leaseNamespace": namespace}
    return make_home(
        tmp_path,
        {"web.yaml": vm_text("web")},
        engine={"kubevirt": engine},
        defaultNamespace=namespace,
        web={"listen": "127.0.0.1:0"},
        log={"level": "debug", "format": "json"},
    )


def cores(cluster: Cluster, namespace: str) -> tuple[int, int]:
    """(cores, generation) of the VM: the API server counts each change of a specification."""
    served = cluster.hands.get(VM, namespace, "web")
    if served is None:
        return 0, 0
    return served["spec"]["template"]["spec"]["domain"]["cpu"]["cores"], served["metadata"]["generation"]


def holder(cluster: Cluster, namespace: str) -> str:
    """Who holds the only Lease of a namespace."""
    (lease,) = cluster.hands.call("GET", LEASES.format(namespace))["items"]
    return str(lease["spec"]["holderIdentity"])


@pytest.mark.slow
def test_a_replica_takes_over_in_time_and_nothing_is_done_twice(
    cluster: Cluster, namespace: str, home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    """With the times that are used in clusters; what commands say to either, and a good end, is shown on shorter ones
    (`tests/unit/daemon/test_replicas.py`).
    """
    first = Replica(home, "first", started)
    wait_until(lambda: cores(cluster, namespace) == (1, 1), "the VM is there")
    assert first.wait_for("host.observed")[0]["level"] == "info"
    second = Replica(home, "second", started)
    second.wait_for("standby.begun")

    # The leader stands still, which to others is as if it were dead, with a commit that nobody saw yet; then it comes back.
    first.process.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    home.commit({"web.yaml": vm_text("web", cores=2)}, "two cores")
    wait_until(lambda: second.events("leadership.taken"), "the other replica leads")
    # After what it waits for by its own clock; what a machine that is busy adds says nothing.
    assert LeaseTimes().duration_s + LeaseTimes().look_s < 18.0
    wait_until(lambda: cores(cluster, namespace)[0] == 2, "the other replica acts")
    print(f"fail-over, to the applied change: {time.monotonic() - stopped_at:.1f} s")
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(90) == 75
    assert first.events("leadership.lost")
    assert cores(cluster, namespace) == (2, 2)
    assert second.end() == 0
    assert holder(cluster, namespace) == ""


class Stopwatch:
    """Time that passes when a test says so, however long the machine takes for what is between."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def lease(
    cluster: Cluster, namespace: str, name: str, *, ahead_s: float = 0.0, steady: Callable[[], float] = time.monotonic
) -> Lease:
    """A replica's view of the Lease, over connections of its own. ``ahead_s`` is how much its clocks are."""
    settings = KubevirtSettings(kubeconfig=str(cluster.kubeconfig))
    client = ApiClient(lambda: connection_of(settings))
    return Lease(
        ClusterLease(client, namespace=namespace, name="gitvirt-lab"),
        identity=name,
        now=lambda: datetime.fromtimestamp(time.time() + ahead_s, UTC),
        elapsed=lambda: steady() + ahead_s,
        times=SHORT,
    )


def test_conflicts_clocks_and_deletion_on_the_real_server(cluster: Cluster, namespace: str) -> None:
    steady = Stopwatch()
    first = lease(cluster, namespace, "first", steady=steady)
    second = lease(cluster, namespace, "second", ahead_s=86400.0, steady=steady)
    assert first.attempt()
    assert not second.attempt()
    # Somebody's label moves the resourceVersion: the Lease is still ours.
    path = LEASES.format(namespace) + "/gitvirt-lab"
    cluster.hands.call("PATCH", path, {"metadata": {"labels": {"seen": "yes"}}}, kind="application/merge-patch+json")
    first.renew()
    assert first.is_held()
    assert not second.attempt()
    # A word of one that stands by is read with the next renewal, and stays through it.
    assert first.asked == ""
    second.pass_on()
    first.renew()
    assert first.asked
    assert cluster.hands.call("GET", path)["metadata"]["annotations"]["gitvirt.io/look-asked"] == first.asked
    assert not second.attempt()
    steady.s += SHORT.duration_s + 0.1
    assert not first.is_held()
    assert second.attempt()
    spec: Any = cluster.hands.call("GET", path)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
    first.renew()
    assert first.lost == "second holds the Lease"
    second.give_back()
    third = lease(cluster, namespace, "third", ahead_s=-86400.0, steady=steady)
    assert third.attempt()
    cluster.hands.call("DELETE", path)
    third.renew()
    assert third.lost == "the Lease was deleted"


def test_what_stands_in_the_way_is_said(cluster: Cluster) -> None:
    with pytest.raises(EngineError, match=r"no namespace nowhere-at-all for its Lease.*leaseNamespace"):
        lease(cluster, "nowhere-at-all", "first").attempt()


def test_an_api_server_that_is_away_stops_the_leader_and_lets_it_go_on(
    cluster: Cluster, own_plane: ControlPlane, namespace: str
) -> None:
    told: list[str] = []
    leadership = LeaseLeadership(lease(cluster, namespace, "first"))
    assert leadership.attempt()
    leadership.when_lost(told.append)
    try:
        own_plane.stop_api_server()
        wait_until(lambda: not leadership.is_held(), "it does not act")
        with pytest.raises(EngineError, match=r"cannot be reached|did not answer"):
            lease(cluster, namespace, "second").attempt()
        own_plane.start_api_server()
        wait_until(leadership.is_held, "it acts again")
        assert told == []
    finally:
        leadership.release()
