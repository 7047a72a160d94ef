"""The way of an administrator: the sample repository, unchanged, with the daemon as a process of its own on a real API server, and the
platform's controllers played, CDI's claims included.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, VM
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.place import Place, sample_place
from tests.cluster.planes import Cluster
from tests.cluster.platform import Platform
from tests.unit.daemon.test_daemon_process import Process

DISKS = ((DATA_VOLUME, "db-system"), (CLAIM, "db-system"), (CLAIM, "db-data"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk(Place):
    """A place whose daemon runs beside it, and a platform that carries out what is written there."""

    platform: Platform
    front: Front

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """Controllers act and time passes until it is so."""

        def turn() -> Any:
            self.platform.pass_time(10.0)
            self.platform.settle()
            return true()

        try:
            return wait_until(turn, what, 90.0)
        except AssertionError as fault:
            log = (self.home.directory / "log").read_text()[-4000:]
            raise AssertionError(f"{fault}\n{self.gitvirt('plan')}\n{self.gitvirt('status')}\n{log}") from fault

    def shown(self, kind: str) -> dict[str, tuple[str, str]]:
        """Name → (status, state), as `get` tells it."""
        items = json.loads(self.gitvirt("get", kind, "-o", "json"))["items"]
        return {one["name"]: (one["status"], one["state"]) for one in items}

    def uids(self) -> list[str]:
        """Of the disks of ``db``."""
        found = [self.hands.get(kind, self.namespace, name) for kind, name in DISKS]
        return [one["metadata"]["uid"] for one in found if one is not None]

    def all_run(self) -> bool:
        """Whether both VMs run and nothing is said against them."""
        return self.shown("vm") == dict.fromkeys(("db", "web"), ("Running", "Ready"))


def walk_of(directory: Path, cluster: Cluster, namespace: str) -> Walk:
    """The sample repository in one namespace; what it asks KubeVirt for passes the front."""
    platform = Platform(cluster.hands, namespace)
    front = Front(cluster.kubeconfig, lambda verb, _, name: platform.vms.act(verb, name))
    place = sample_place(directory, cluster, namespace, kubeconfig=front.kubeconfig(directory / "front.kubeconfig"))
    settings = yaml.safe_load(place.home.settings_file.read_text())
    settings |= {"web": {"listen": "off"}, "log": {"format": "json"}}
    settings["source"] |= {"interval": "1s", "jitter": "0s"}
    place.home.settings_file.write_text(yaml.safe_dump(settings))
    return Walk(home=place.home, hands=place.hands, namespace=namespace, platform=platform, front=front)


@pytest.fixture
def walk(
    tmp_path: Path, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Walk, Process]]:
    """The place and its daemon."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", str(Path.cwd())))
    place = walk_of(tmp_path, cluster, namespace)
    daemon = Process(place.home)
    yield place, daemon
    if daemon.process.poll() is None:
        try:
            daemon.end()
        except subprocess.TimeoutExpired:
            daemon.process.kill()
            daemon.process.wait()
    place.front.close()


def test_from_the_first_plan_to_the_way_back(walk: tuple[Walk, Process]) -> None:
    place, daemon = walk
    wait_until(lambda: place.names(VM) == {"web", "db"}, "the daemon made the VMs")
    # Before any controller looked at them nothing is called well.
    pending = dict.fromkeys(("db", "web"), ("Pending", "Progressing"))
    wait_until(lambda: place.shown("vm") == pending, "the VMs are shown as they are")
    assert place.shown("dv")["web-system"] == ("Pending", "Progressing")
    place.until(place.all_run, "both VMs run")
    place.until(lambda: not json.loads(place.gitvirt("plan", "-o", "json"))["changes"], "nothing is left to do")
    disks = place.uids()
    assert len(disks) == len(DISKS)

    place.home.git("rm", "-q", "vms/db.yaml")
    place.commit("no db")
    place.until(lambda: "db" not in place.names(VM) and "db" not in place.names(INSTANCE), "db is gone")
    trash = place.until(
        lambda: two(json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"]), "its disks stay"
    )
    assert {one["object"].partition("/")[0] for one in trash} == {DATA_VOLUME, CLAIM}
    assert place.uids() == disks

    place.home.git("revert", "--no-edit", "HEAD")
    place.until(place.all_run, "the revert brought it back")
    assert place.uids() == disks
    assert json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"] == []

    place.home.git("rm", "-q", "-r", "vms")
    place.commit("no VMs")
    hold = place.until(lambda: first_hold(place), "the deletion of all VMs is held")
    assert (hold["rule"], len(hold["changes"])) == ("blast-radius", 2)
    assert place.names(VM) == {"web", "db"}
    place.gitvirt("approve", hold["hold_id"])
    place.until(lambda: not place.names(VM), "they went after a person had said so")
    assert place.names(DATA_VOLUME) == {"demo-image", "web-system", "db-system"}
    place.until(lambda: {"create", "delete", "approve"} <= audited(place), "the journal tells it")
    assert daemon.end() == 0


def audited(place: Walk) -> set[str]:
    """What was done, as the journal tells it."""
    return {one["action"] for one in json.loads(place.gitvirt("audit", "-o", "json"))["items"]}


def two(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both disks of ``db``, once they are there."""
    return items if len(items) == 2 else []


def first_hold(place: Walk) -> Any:
    """What waits for a person, None for nothing."""
    held = json.loads(place.gitvirt("plan", "-o", "json"))["held"]
    return next((one for one in held if any(VM in change["object"] for change in one["changes"])), None)
