"""Start, stop, restart and pause through KubeVirt's own API, by gitvirt and past it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.place import Place, place_of
from tests.cluster.planes import Cluster
from tests.kubevirt.test_changes import WEB
from tests.kubevirt.watching import nothing_to_do, running, stopped, strategy, virtctl


@pytest.fixture
def place(tmp_path: Path, kubevirt: Cluster, namespace: str) -> Place:
    """One VM that runs."""
    made = place_of(tmp_path, kubevirt, namespace, {"vms/web.yaml": WEB})
    made.gitvirt("apply")
    running(made, "web")
    return made


def test_a_stop_is_kept_and_undone_when_it_is_over(place: Place) -> None:
    place.gitvirt("stop", "web")
    stopped(place, "web")
    assert strategy(place, "web") == "Halted"
    nothing_to_do(place)
    place.gitvirt("resume", "web")
    first = running(place, "web")
    assert strategy(place, "web") == "Always"
    nothing_to_do(place)
    place.gitvirt("restart", "web")
    running(place, "web", after=first["metadata"]["uid"])
    nothing_to_do(place)


def test_a_vm_that_is_declared_off_is_started_and_put_back(place: Place) -> None:
    place.home.commit({"vms/web.yaml": WEB.replace("Always", "Halted")})
    place.gitvirt("apply")
    stopped(place, "web")
    place.gitvirt("start", "web")
    running(place, "web")
    nothing_to_do(place)
    place.gitvirt("resume", "web")
    stopped(place, "web")
    assert strategy(place, "web") == "Halted"
    nothing_to_do(place)


def test_a_stop_by_virtctl_is_shown_and_kept(place: Place) -> None:
    virtctl(place, "stop", "web")
    stopped(place, "web")
    (held,) = place.plan()["held"]
    assert "virtctl" in held["reason"]
    place.gitvirt("apply")
    assert strategy(place, "web") == "Halted"
    virtctl(place, "start", "web")
    running(place, "web")
    nothing_to_do(place)


def test_after_an_act_that_changed_nothing_is_over_a_stop_by_virtctl_is_somebody_s(place: Place) -> None:
    place.gitvirt("start", "web")
    place.gitvirt("resume", "web")
    nothing_to_do(place)
    virtctl(place, "stop", "web")
    stopped(place, "web")
    place.gitvirt("apply")
    assert strategy(place, "web") == "Halted"
