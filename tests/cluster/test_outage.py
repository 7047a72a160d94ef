"""The API server dies in the middle of a large apply, and comes back: everything is applied in the end, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import VM
from reconciler.daemon.wake import Wake
from reconciler.settings import load_settings
from reconciler.wiring import build_core
from tests.cluster.hands import wait_until
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.unit.daemon.homes import make_home, vm_text

VMS = 60


def test_killed_in_the_middle_of_an_apply_of_many(
    cluster: Cluster, own_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    files = {f"vm-{number:03}.yaml": vm_text(f"vm-{number:03}") for number in range(VMS)}
    options = {"kubeconfig": str(cluster.kubeconfig), "namespaces": [namespace], "leaseNamespace": namespace,
               "requestTimeout": "2s"}  # fmt: skip
    home = make_home(tmp_path, files, engine={"kubevirt": options}, defaultNamespace=namespace, owner=namespace)
    core = build_core(load_settings(home.settings_file))
    engine = core.engine
    assert isinstance(engine, KubevirtEngine)
    try:
        engine.observe(None)  # the watches stand before it dies
        _at_write(engine, 25, own_plane.stop_api_server)
        first = core.cycle.run(Wake(fetch=True))
        faults = [one.outcome for one in first.record.applied if one.outcome.is_fault]
        assert faults
        assert all("cannot be reached" in one.reason or "did not answer" in one.reason for one in faults), faults
        core.cycle.run(Wake(everything=True))  # while it is away nothing is concluded, and nothing ends
        own_plane.start_api_server()

        def is_done() -> bool:
            time.sleep(0.3)
            core.cycle.run(Wake(everything=True))
            return len(cluster.hands.list(VM, namespace)) == VMS

        wait_until(is_done, "all is applied", 60.0)

        def has_nothing_to_do() -> bool:
            plan = core.cycle.run(Wake(everything=True)).plan
            return plan is not None and (plan.changes, plan.blocked) == ((), ())

        wait_until(has_nothing_to_do, "what was carried out without an answer is seen")
        before = engine.requests
        assert core.cycle.run(Wake(everything=True)).record.applied == ()
        assert engine.requests.get("PATCH") == before.get("PATCH")
        generations = {vm["metadata"]["generation"] for vm in cluster.hands.list(VM, namespace)}
        assert generations == {1}
        # Watches go on by themselves.
        cluster.hands.patch(VM, namespace, "vm-003", {"metadata": {"labels": {"by": "hand"}}})
        wait_until(lambda: "by" in _labels(engine, namespace), "the watch tells of it")
    finally:
        core.close()


def _at_write(engine: KubevirtEngine, number: int, kill: Callable[[], None]) -> None:
    """Before the engine sends that write, while others are on their way."""
    numbers, may_write = count(1), engine._client._may_write

    def asked() -> bool:
        if next(numbers) == number:
            kill()
        return may_write()

    engine._client._may_write = asked


def _labels(engine: KubevirtEngine, namespace: str) -> dict[str, str]:
    found = engine._caches.get(VM, (namespace, "vm-003"))
    return dict(((found or {}).get("metadata") or {}).get("labels") or {})
