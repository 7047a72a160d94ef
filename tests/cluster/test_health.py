"""Health on a cluster: what a person is told, from conditions, phases and events, and what it costs to know it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, VM
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, LiveVolume
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.site import ClusterSite
from tests.cluster.vm_place import VmPlace, web
from tests.contract.builders import create

_numbers = count(1)
EVENTS = re.compile(r"GET /api.*/events\?")


def warn(
    site: ClusterSite, kind: str, name: str, reason: str, message: str, *, uid: str = "", type_: str = "Warning"
) -> None:
    """An event as some controller writes it."""
    about = {"kind": kind, "namespace": site.namespace, "name": name, **({"uid": uid} if uid else {})}
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{next(_numbers)}", "namespace": site.namespace},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "type": type_,
        "lastTimestamp": "2026-03-01T11:00:00Z",
    }
    site.hands.call("POST", f"/api/v1/namespaces/{site.namespace}/events", body)


def fault(site: ClusterSite, key: ObjectKey) -> str:
    """What is said to be wrong."""
    live = site.look(key)
    assert isinstance(live, LiveVm | LiveVolume)
    return live.fault


def told(site: ClusterSite, key: ObjectKey, text: str) -> None:
    """Wait until it is said."""
    wait_until(lambda: fault(site, key) == text, f"{text!r} of {key}, not {fault(site, key)!r}")


@pytest.fixture
def front(site: ClusterSite, tmp_path: Path) -> Iterator[Front]:
    """A front that counts requests."""
    made = Front(site.kubeconfig, lambda *_: None)
    site.engine.close()
    kubeconfig = str(made.kubeconfig(tmp_path / "front.kubeconfig"))
    site.engine = KubevirtEngine(
        KubevirtSettings(kubeconfig=kubeconfig, namespaces=(site.namespace,)), site.policy, SystemClock()
    )
    yield made
    site.engine.close()
    made.close()


def asked(front: Front) -> list[str]:
    """Lists of events that were asked for."""
    return [line for line in front.seen if EVENTS.search(line)]


def set_vm(site: ClusterSite, word: str, *conditions: dict[str, Any]) -> None:
    site.hands.set_status(VM, site.namespace, "web", {"printableStatus": word, "conditions": list(conditions)})


def test_a_guest_that_finds_no_node_says_why_and_one_that_is_well_costs_nothing(
    site: ClusterSite, front: Front
) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    site.hands.run_instance(site.namespace, "web", "Running")
    live = site.caught_up(vm.key)
    assert isinstance(live, LiveVm) and live.reported == "Running"
    site.engine.observe(None)
    assert (fault(site, vm.key), asked(front)) == ("", [])
    warn(
        site,
        "Pod",
        "virt-launcher-web-x",
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient memory.",
        uid="p-1",
    )
    warn(site, "Pod", "virt-launcher-web-x", "Pulled", "image pulled", uid="p-1", type_="Normal")
    warn(site, INSTANCE, "other", "FailedScheduling", "of another")
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pods = {"phase": "Scheduling", "conditions": [unschedulable], "activePods": {"p-1": ""}}
    site.hands.set_status(INSTANCE, site.namespace, "web", pods)
    set_vm(site, "ErrorUnschedulable")
    told(site, vm.key, "ErrorUnschedulable: FailedScheduling: 0/3 nodes are available: 3 Insufficient memory")
    before = asked(front)
    assert len(before) == 3
    for _ in range(5):
        site.engine.observe(None)
        site.engine.observe([vm.key])
    assert asked(front) == before
    set_vm(site, "Running")
    site.hands.set_status(INSTANCE, site.namespace, "web", {"phase": "Running", "conditions": []})
    told(site, vm.key, "")


def test_an_import_that_fails_is_told_on_volume_and_vm_without_its_secrets(site: ClusterSite, front: Front) -> None:
    root = site.data_volume("root", {"http": {"url": "https://img.example.org/a.qcow2"}})
    vm = site.vm("web", disks={"root": root})
    for one in (root, vm):
        site.engine.apply(create(one))
    set_vm(site, "Provisioning")
    running = {"type": "Running", "status": "True", "reason": "Pod is running", "message": ""}
    site.hands.set_status(
        DATA_VOLUME, site.namespace, "root", {"phase": "ImportInProgress", "progress": "45.0%", "conditions": [running]}
    )
    wait_until(lambda: getattr(site.look(root.key), "pending", "") == "ImportInProgress, 45%", "it is slow, not stuck")
    live = site.caught_up(vm.key)
    assert isinstance(live, LiveVm)
    assert (live.fault, live.pending) == ("", "Provisioning: root ImportInProgress 45.0%")
    assert asked(front) == []
    failed = {**running, "status": "False", "reason": "Error", "message": "Unable to process data"}
    warn(site, DATA_VOLUME, "root", "Error", "GET https://ann:hunter2@img.example.org/a.qcow2?sig=hunter3: got 404")
    site.hands.set_status(DATA_VOLUME, site.namespace, "root", {"phase": "ImportInProgress", "conditions": [failed]})
    why = "Error: Unable to process data; Error: GET https://img.example.org/a.qcow2 got 404"
    told(site, root.key, why)
    told(
        site,
        vm.key,
        "Provisioning: root: Error: Unable to process data; Error: GET https://img.example.org/a.qcow2 got 404",
    )
    assert "hunter" not in repr(site.look(vm.key)) + repr(site.look(root.key))


def test_without_the_right_to_list_events_the_condition_speaks(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    front.plan("GET .*/events", 403, "events is forbidden", times=100)
    failure = {"type": "Failure", "status": "True", "reason": "FailedCreate", "message": "admission webhook denied it"}
    warn(site, VM, "web", "FailedCreate", "Error creating pod")
    set_vm(site, "Starting", failure)
    told(site, vm.key, "Failure: admission webhook denied it")
    before = len(asked(front))
    assert before == 2, "once in each form"
    for _ in range(3):
        site.engine.observe(None)
    assert len(asked(front)) == before


@pytest.mark.parametrize("either", ["real"], indirect=True)
def test_the_other_form_of_events_serves_where_the_first_is_denied(site: ClusterSite, front: Front) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    front.plan("GET /api/v1/.*/events", 403, "events is forbidden", times=100)
    warn(site, VM, "web", "FailedCreate", "exceeded quota")
    set_vm(site, "Starting", {"type": "Failure", "status": "True"})
    told(site, vm.key, "Failure: FailedCreate: exceeded quota")


def test_many_that_are_not_well_are_asked_about_a_few_at_a_time(site: ClusterSite, front: Front) -> None:
    claims = [site.claim(f"data-{number}") for number in range(12)]
    for one in claims:
        site.engine.apply(create(one))
        site.hands.set_status(CLAIM, site.namespace, one.key.name, {"phase": "Lost"})
    wait_until(lambda: all(fault(site, one.key) for one in claims), "all are told")
    assert fault(site, claims[-1].key) == "Lost: the volume that it was bound to is gone"
    assert len(asked(front)) <= 12


def test_it_is_shown_wherever_a_person_looks(vm_place: VmPlace) -> None:
    vm_place.hands.set_status(INSTANCE, vm_place.namespace, "web", {"phase": "Unknown", "nodeName": "node-7"})
    vm_place.hands.set_status(VM, vm_place.namespace, "web", {"printableStatus": "Running"})
    vm_place.declare(web("Manual", cores=2))
    said = "Unknown: the node node-7 does not answer for it"
    for command in (("get", "vm"), ("status",), ("describe", "vm", f"{vm_place.namespace}/web"), ("plan",)):
        assert said in vm_place.gitvirt(*command), command
    journal, path = vm_place.home.directory / "state/journal.git", f"main:{vm_place.namespace}/{VM}/web.yaml"
    kept = subprocess.run(["git", "-C", str(journal), "show", path], capture_output=True, text=True, check=True)
    assert "phase: Unknown" in kept.stdout
