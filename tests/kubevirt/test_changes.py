"""What KubeVirt makes of a change is what the plan had said: live, at a restart, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.hands import wait_until
from tests.cluster.place import Place, place_of
from tests.cluster.planes import Cluster
from tests.kubevirt.watching import nothing_to_do, restart_required, running

WEB = """apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        cpu: {sockets: 1, cores: 1}
        memory: {guest: 1Gi}
        devices:
          disks: [{name: scratch, disk: {bus: virtio}}]
          interfaces: [{name: default, masquerade: {}}]
      networks: [{name: default, pod: {}}]
      volumes: [{name: scratch, emptyDisk: {capacity: 1Gi}}]
"""


@pytest.fixture
def place(tmp_path: Path, kubevirt: Cluster, namespace: str) -> Place:
    """One VM that runs."""
    made = place_of(tmp_path, kubevirt, namespace, {"vms/web.yaml": WEB})
    made.gitvirt("apply")
    running(made, "web")
    return made


def planned(place: Place, text: str) -> dict[str, Any]:
    """The one change that a commit is planned to make."""
    place.home.commit({"vms/web.yaml": text})
    (change,) = place.plan()["changes"]
    return dict(change)


def test_what_is_said_to_be_live_needs_no_restart(place: Place) -> None:
    change = planned(place, WEB.replace("sockets: 1", "sockets: 2").replace("guest: 1Gi", "guest: 2Gi"))
    assert change["impact"] == "live"
    place.gitvirt("apply")

    def is_plugged_in() -> bool:
        domain = running(place, "web")["spec"]["domain"]
        return domain["cpu"]["sockets"] == 2 and domain["memory"]["guest"] == "2Gi"

    wait_until(is_plugged_in, "KubeVirt gives the running instance what it was promised", 60.0)
    assert not restart_required(place, "web")
    nothing_to_do(place)


def test_what_is_said_to_need_a_restart_waits_for_one_and_is_done_by_it(place: Place) -> None:
    change = planned(place, WEB.replace("cores: 1", "cores: 2"))
    assert change["impact"] == "restart"
    before = running(place, "web")
    place.gitvirt("apply")
    wait_until(lambda: restart_required(place, "web"), "KubeVirt says that a restart is due", 60.0)
    assert "RestartRequired" in place.gitvirt("get", "vm", "web", "-o", "wide")
    assert [one["path"] for one in place.plan()["restart_required"][0]["differences"]] == [
        "spec.template.spec.domain.cpu.cores"
    ]
    assert running(place, "web")["metadata"]["uid"] == before["metadata"]["uid"]
    place.gitvirt("restart", "web")
    after = running(place, "web", after=before["metadata"]["uid"])
    assert after["spec"]["domain"]["cpu"]["cores"] == 2
    wait_until(lambda: not restart_required(place, "web"), "nothing is due any more", 60.0)
    nothing_to_do(place)


def test_a_refusal_of_kubevirt_stands_at_the_line_that_it_is_about(place: Place) -> None:
    gated = WEB.replace("emptyDisk: {capacity: 1Gi}", "hostDisk: {path: /disk.img, type: Disk}")
    place.home.commit({"vms/web.yaml": gated})
    said = place.gitvirt("apply", code=1)
    assert "vms/web.yaml:15:17: spec.template.spec.volumes[0]: " in said
    assert "HostDisk feature gate is not enabled" in said
