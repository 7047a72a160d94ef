"""What goes wrong between the engine and an API server: every request ends, and what it came to is told."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import CLAIM, VM
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.errors import EngineError
from reconciler.model.outcome import Result
from reconciler.model.power import PowerState, PowerStep
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.site import ClusterSite
from tests.contract.builders import create, delete, update


@pytest.mark.parametrize(
    ("status", "result", "wait_s"),
    [(429, Result.RETRY, 3.0), (500, Result.RETRY, None), (503, Result.RETRY, 3.0), (422, Result.FAILED, None)],
)
def test_refusals_are_outcomes(
    site: ClusterSite, front: Front, status: int, result: Result, wait_s: float | None
) -> None:
    headers = {"Retry-After": "3"} if wait_s == 3.0 else {}
    front.plan("PATCH .*virtualmachines", status, headers=headers)
    outcome = site.engine.apply(create(site.vm("web")))
    assert (outcome.result, outcome.retry_after_s) == (result, wait_s)
    assert site.engine.apply(create(site.vm("web"))).result is Result.APPLIED


def test_a_denial_names_verb_and_resource(site: ClusterSite, front: Front) -> None:
    front.plan("PATCH .*virtualmachines", 403, "user may not")
    outcome = site.engine.apply(create(site.vm("web")))
    assert outcome.result is Result.FAILED
    assert "may not patch virtualmachines.kubevirt.io" in outcome.reason


def test_credentials_are_read_again_when_they_are_no_longer_known(site: ClusterSite, front: Front) -> None:
    front.plan("PATCH .*virtualmachines", 401)
    assert site.engine.apply(create(site.vm("web"))).result is Result.APPLIED
    front.plan("PATCH .*virtualmachines", 401, times=2)
    outcome = site.engine.apply(update(site.vm("web", memory="96Mi"), site.look(site.vm("web").key)))
    assert outcome.result is Result.RETRY
    assert "401" in outcome.reason


def test_a_lost_answer_is_unknown_and_found_out_by_looking(site: ClusterSite, front: Front) -> None:
    front.plan("PATCH .*virtualmachines", 200, carried_out=True, hang_s=60.0)
    began = time.monotonic()
    vm = site.vm("web")
    outcome = site.engine.apply(create(vm))
    assert outcome.result is Result.UNKNOWN
    assert time.monotonic() - began < 60.0
    live = wait_until(lambda: site.look(vm.key), "the watch tells that it was done")
    assert site.engine.apply(update(vm, live)).result is Result.UNCHANGED


def test_a_cut_watch_is_resumed_and_nothing_is_missed(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    lists = sum("limit=" in line for line in front.seen)
    wait_until(lambda: front.watches("virtualmachines"), "the VM is watched")
    front.cut_watches()
    site.hands.patch(VM, site.namespace, "web", {"metadata": {"labels": {"by": "hand"}}})
    wait_until(lambda: site.labels(vm.key).get("by"), "the change is seen")
    assert sum("limit=" in line for line in front.seen) == lists


def test_a_version_that_is_gone_is_listed_again(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    lists = sum("virtualmachines?limit=" in line for line in front.seen)
    front.plan("GET .*virtualmachines.*watch=true", 410)
    front.cut_watches()
    site.hands.delete(VM, site.namespace, "web")
    wait_until(lambda: site.look(vm.key) is None, "the deletion is seen")
    assert sum("virtualmachines?limit=" in line for line in front.seen) == lists + 1


def test_what_cannot_be_read_is_unknown_and_never_empty(site: ClusterSite, front: Front, tmp_path: Path) -> None:
    site.engine.apply(create(site.claim("data")))
    front.plan("GET .*persistentvolumeclaims", 403, "may not list", times=100)
    again = site.another_engine(kubeconfig=str(front.kubeconfig(tmp_path / "again.kubeconfig")))
    try:
        observation = again.observe(None)
        assert observation.objects == {}
        assert observation.is_unknown(site.claim("data").key)
        assert "may not list persistentvolumeclaims" in observation.why_unknown(site.claim("data").key)
        assert not observation.is_unknown(site.vm("web").key)
    finally:
        again.close()


def test_an_api_server_that_is_not_there_is_an_error_of_the_engine(site: ClusterSite, tmp_path: Path) -> None:
    path = tmp_path / "nowhere.kubeconfig"
    path.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", site.kubeconfig.read_text()))
    nowhere = site.another_engine(kubeconfig=str(path))
    with pytest.raises(EngineError, match="cannot be read"):
        nowhere.observe(None)
    nowhere.close()


def test_a_kind_that_the_cluster_lacks_is_told_and_no_other_waits(
    site: ClusterSite, front: Front, tmp_path: Path
) -> None:
    front.plan("cdi.kubevirt.io", 404, times=1000)
    bare = site.another_engine(kubeconfig=str(front.kubeconfig(tmp_path / "bare.kubeconfig")))
    try:
        assert bare.observe(None).unreadable == ()
        outcome = bare.apply(create(site.data_volume("root")))
        assert outcome.result is Result.RETRY
        assert "install CDI" in outcome.reason
        assert bare.apply(create(site.claim("data"))).result is Result.APPLIED
    finally:
        bare.close()


def test_power_goes_through_kubevirt_s_own_actions(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web", run_strategy="Manual")
    assert site.engine.apply(create(vm, power=PowerStep.START)).result is Result.APPLIED
    wait_until(lambda: site.caught_up(vm.key).power is PowerState.RUNNING, "it runs")
    for step, state in ((PowerStep.PAUSE, PowerState.PAUSED), (PowerStep.UNPAUSE, PowerState.RUNNING)):
        assert site.engine.apply(update(vm, site.caught_up(vm.key), power=step)).result is Result.APPLIED
        wait_until(lambda state=state: site.caught_up(vm.key).power is state, str(state))
    assert [verb for verb, _, _ in front.acted] == ["start", "pause", "unpause"]


def test_a_running_vm_is_stopped_before_it_is_deleted(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    site.hands.run_instance(site.namespace, "web")
    live = wait_until(
        lambda: (found := site.caught_up(vm.key)) and found.power is PowerState.RUNNING and found, "it runs"
    )
    first = site.engine.apply(delete(live))
    assert first.result is Result.PROGRESSING
    assert site.hands.get(VM, site.namespace, "web") is not None
    gone = wait_until(
        lambda: (found := site.caught_up(vm.key)) and found.power is PowerState.OFF and found, "it is off"
    )
    assert site.engine.apply(delete(gone)).result is Result.APPLIED
    assert site.hands.get(VM, site.namespace, "web") is None
    assert [verb for verb, _, _ in front.acted] == ["stop"]
    assert site.hands.list(CLAIM, site.namespace) == []


def test_a_second_stop_stops_the_second_run(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    for run in (1, 2):
        site.hands.patch(VM, site.namespace, "web", {"spec": {"runStrategy": "Always"}}, manager="virt-api")
        site.hands.run_instance(site.namespace, "web")
        wait_until(lambda: site.caught_up(vm.key).power is PowerState.RUNNING, "it runs")
        stop = update(vm, site.caught_up(vm.key), power=PowerStep.STOP)
        assert site.engine.apply(stop).result is Result.PROGRESSING
        wait_until(lambda: site.caught_up(vm.key).power is PowerState.OFF, "it is off")
        assert [verb for verb, _, _ in front.acted] == ["stop"] * run


class Skewed(SystemClock):
    """A clock that is an hour behind the cluster's."""

    def now(self) -> datetime:
        return super().now() - timedelta(hours=1)


def test_a_stop_is_asked_for_once_whatever_the_two_clocks_say(site: ClusterSite, front: Front, tmp_path: Path) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    site.hands.run_instance(site.namespace, "web")
    settings = KubevirtSettings(
        kubeconfig=str(front.kubeconfig(tmp_path / "skewed.kubeconfig")),
        namespaces=(site.namespace,),
        lease_namespace=site.namespace,
    )
    skewed = KubevirtEngine(settings, site.policy, Skewed())
    try:
        front.plan("PUT .*/stop", 202, times=10)  # the guest takes its time
        for _ in range(3):
            live: Any = wait_until(
                lambda: (seen := site.caught_up(vm.key, skewed)) and seen.power is PowerState.RUNNING and seen,
                "it runs",
            )
            assert skewed.apply(update(vm, live, power=PowerStep.STOP)).result is Result.PROGRESSING
        assert sum("/stop" in line for line in front.seen) == 1
    finally:
        skewed.close()


def test_a_stop_that_kubevirt_refused_is_asked_for_again(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    site.hands.run_instance(site.namespace, "web")
    live = wait_until(
        lambda: (found := site.caught_up(vm.key)) and found.power is PowerState.RUNNING and found, "it runs"
    )
    front.plan("PUT .*/stop", 500)
    assert site.engine.apply(update(vm, live, power=PowerStep.STOP)).result is Result.RETRY
    live = site.caught_up(vm.key)
    assert site.engine.apply(update(vm, live, power=PowerStep.STOP)).result is Result.PROGRESSING
    assert [verb for verb, _, _ in front.acted] == ["stop"]


def test_a_kind_that_is_gone_is_unread_and_not_empty(site: ClusterSite, front: Front, tmp_path: Path) -> None:
    site.engine.apply(create(site.claim("data")))
    path = str(front.kubeconfig(tmp_path / "short.kubeconfig"))
    short = site.another_engine(kubeconfig=path, stale_after_s=0.2)
    try:
        assert site.claim("data").key in short.observe(None).objects
        front.plan("GET .*persistentvolumeclaims", 404, times=1000)

        def is_unknown() -> bool:
            front.cut_watches()  # one that was just being opened is found by the next cut
            return short.observe(None).is_unknown(site.claim("data").key)

        wait_until(is_unknown, "it is unknown")
        assert site.claim("data").key in short.observe(None).objects
    finally:
        short.close()
