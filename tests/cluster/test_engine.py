"""The engine against a real API server: what is written, what is read back, and what is left alone."""

from __future__ import annotations

from nodeexec.kubevirt.kinds import VM
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from tests.cluster.site import ClusterSite
from tests.contract.builders import create, update


def test_a_vm_is_applied_and_observed_without_differences(site: ClusterSite) -> None:
    vm = site.vm("web")
    assert site.engine.apply(create(vm)).result is Result.APPLIED
    live = site.look(vm.key)
    assert isinstance(live, LiveVm)
    assert live.marks is not None
    assert (live.marks.owner, live.marks.revision) == (site.policy.owner, "1" * 40)
    assert live.marks.applied == vm.applied
    assert site.engine.compare(vm, live) == ()
    served = site.hands.get(VM, site.namespace, "web")
    assert served is not None
    firmware = served["spec"]["template"]["spec"]["domain"]["firmware"]
    assert firmware == {"uuid": vm.domain.uuid, "serial": vm.domain.serial}
    before = site.writes()
    assert site.engine.apply(update(vm, live)).result is Result.UNCHANGED
    assert site.writes() == before
