"""Many VMs: everything is applied, and a cycle with nothing to do asks the server for nothing.

``GITVIRT_CLUSTER_VMS`` says how many; `make bench-cluster` does the same with 2,000 beside kubectl.
"""

from __future__ import annotations

import os
from pathlib import Path

from nodeexec.kubevirt.engine import KubevirtEngine
from reconciler.daemon.wake import Wake
from reconciler.settings import load_settings
from reconciler.wiring import build_core
from tests.cluster.planes import Cluster
from tests.unit.daemon.homes import make_home, vm_text

VMS = int(os.environ.get("GITVIRT_CLUSTER_VMS", "30"))


def test_a_first_sync_a_silent_cycle_and_a_change_of_one(tmp_path: Path, either: Cluster, own_namespace: str) -> None:
    cluster, namespace = either, own_namespace
    files = {f"vm-{number:05}.yaml": vm_text(f"vm-{number:05}") for number in range(VMS)}
    engine_settings = {"kubeconfig": str(cluster.kubeconfig), "namespaces": [namespace], "leaseNamespace": namespace}
    home = make_home(tmp_path, files, engine={"kubevirt": engine_settings}, defaultNamespace=namespace, owner=namespace)
    core = build_core(load_settings(home.settings_file))
    engine = core.engine
    assert isinstance(engine, KubevirtEngine)
    try:
        cold = core.cycle.run(Wake(fetch=True))
        assert len(cold.record.applied) == 2 * VMS
        assert [one.outcome.reason for one in cold.record.applied if one.outcome.is_fault] == []
        before = engine.requests
        silent = core.cycle.run(Wake(everything=True))
        assert (silent.record.applied, engine.requests) == ((), before)
        home.commit({"vm-00007.yaml": vm_text("vm-00007", cores=2)})
        changed = core.cycle.run(Wake(fetch=True))
        assert [one.change.key.name for one in changed.record.applied] == ["vm-00007"]
        assert sum(engine.requests.values()) - sum(before.values()) == 1
    finally:
        core.close()
    again = build_core(load_settings(home.settings_file))
    assert isinstance(again.engine, KubevirtEngine)
    try:
        again.cycle.run(Wake(fetch=True))
        assert set(again.engine.requests) == {"GET"}
        assert len(again.cycle.status()) == 2 * VMS
    finally:
        again.close()
