"""Many VMs: everything is applied, and a cycle with nothing to do asks the server for nothing.

500 on the real server, where ``GITVIRT_CLUSTER_VMS`` does not say another number; `make bench-cluster` does the same with 2,000 beside kubectl.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.engine import KubevirtEngine
from reconciler.daemon.wake import Wake
from reconciler.settings import load_settings
from reconciler.wiring import build_core
from tests.cluster.planes import Cluster
from tests.unit.daemon.homes import make_home, vm_text

VMS = int(os.environ.get("GITVIRT_CLUSTER_VMS", "500"))
VMS_IN_MEMORY = 30


def fleet_vm(number: int, cores: int = 1) -> str:
    """A VM whose claim is in the cluster without being declared."""
    return vm_text(f"vm-{number:05}", cores=cores).partition("---")[0]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requests that cycles make, by their method. A watch begins and lists on a thread of its own, when its time has come."""
    found: list[str] = []
    call: Callable[..., Any] = ApiClient.call

    def counted(self: ApiClient, method: str, *arguments: Any, **named: Any) -> Any:
        if not threading.current_thread().name.startswith("watch "):
            found.append(method)
        return call(self, method, *arguments, **named)

    monkeypatch.setattr(ApiClient, "call", counted)
    return found


def test_a_first_sync_a_silent_cycle_and_a_change_of_one(
    tmp_path: Path, either: Cluster, own_namespace: str, asked: list[str]
) -> None:
    cluster, namespace = either, own_namespace
    vms = VMS_IN_MEMORY if cluster.in_memory else VMS
    files = {f"vm-{number:05}.yaml": fleet_vm(number) for number in range(vms)}
    engine_settings = {"kubeconfig": str(cluster.kubeconfig), "namespaces": [namespace], "leaseNamespace": namespace}
    home = make_home(tmp_path, files, engine={"kubevirt": engine_settings}, defaultNamespace=namespace, owner=namespace)
    core = build_core(load_settings(home.settings_file))
    engine = core.engine
    assert isinstance(engine, KubevirtEngine)
    try:
        cold = core.cycle.run(Wake(fetch=True))
        assert len(cold.record.applied) == vms
        assert [one.outcome.reason for one in cold.record.applied if one.outcome.is_fault] == []
        asked.clear()
        silent = core.cycle.run(Wake(everything=True))
        assert (silent.record.applied, asked) == ((), [])
        home.commit({"vm-00007.yaml": fleet_vm(7, cores=2)})
        changed = core.cycle.run(Wake(fetch=True))
        assert [one.change.key.name for one in changed.record.applied] == ["vm-00007"]
        assert asked == ["PATCH"]
    finally:
        core.close()
    again = build_core(load_settings(home.settings_file))
    assert isinstance(again.engine, KubevirtEngine)
    try:
        again.cycle.run(Wake(fetch=True))
        assert set(again.engine.requests) == {"GET"}
        assert len(again.cycle.status()) == vms
    finally:
        again.close()
