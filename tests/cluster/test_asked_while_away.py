"""Questions while the API server is away: what is known is told with its age, and nothing is green by omission."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodeexec.kubevirt import outage
from nodeexec.kubevirt.kinds import VM
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.place import place_of
from tests.cluster.planes import Cluster
from tests.cluster.servers import ControlPlane
from tests.cluster.site import ClusterSite
from tests.contract.builders import create
from tests.unit.daemon.homes import vm_text
from tests.unit.daemon.test_daemon_process import Process

ASKED = r"GET .*/persistentvolumeclaims\?limit=1$"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, who answers at all answers in time."""
    monkeypatch.setattr(outage, "ANSWER_S", 60.0)
    monkeypatch.setattr(outage, "CATCH_UP_S", 60.0)


def test_a_watch_that_only_begins_anew_makes_no_noise(site: ClusterSite, front: Front) -> None:
    assert site.engine.outdated() is None
    wait_until(lambda: front.watches("persistentvolumeclaims"), "it watches")
    front.cut_watches()
    assert site.engine.outdated() is None


def test_a_server_that_hangs_is_noticed_before_its_watches_are(
    site: ClusterSite, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "ANSWER_S", 0.3)
    heard_by = datetime.now(UTC)
    front.plan(ASKED, 200, hang_s=1.0, times=2)
    found = site.engine.outdated()
    assert found is not None
    assert found.reason.startswith("the API server does not answer (http")
    assert found.since is not None
    assert abs((heard_by - found.since).total_seconds()) < 60


def test_a_server_without_its_store_is_away_and_one_that_refuses_is_not(site: ClusterSite, front: Front) -> None:
    front.plan(ASKED, 500, "etcdserver: leader changed")
    assert site.engine.outdated() is None, "the second answer counts"
    front.plan(ASKED, 500, "etcdserver: request timed out", times=2)
    assert "etcdserver: request timed out" in str(site.engine.outdated())
    front.plan(ASKED, 403, "no")
    assert site.engine.outdated() is None


def test_watches_that_are_refused_make_it_outdated_and_catch_up_as_soon_as_somebody_asks(
    site: ClusterSite, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "CATCH_UP_S", 0.5)
    vm = site.vm("web")
    site.engine.apply(create(vm))
    broken = front.plan(
        r"GET .*/virtualmachines\?.*watch=true", 503, "overloaded", times=1000, headers={"Retry-After": "60"}
    )
    front.cut_watches()

    def behind() -> list[tuple[str, bool]]:
        return [(watch.kind.name, "overloaded" in watch.fault) for watch in site.engine._caches.behind()]

    wait_until(lambda: behind() == [(VM, True)], "it is refused, and all others stand again")
    found = site.engine.outdated()
    assert found is not None
    assert "overloaded" in found.reason
    site.hands.patch(VM, site.namespace, "web", {"metadata": {"labels": {"by": "hand"}}})
    broken.times = 0
    monkeypatch.setattr(outage, "CATCH_UP_S", 60.0)
    assert site.engine.outdated() is None
    wait_until(lambda: site.labels(vm.key).get("by") == "hand", "long before the server's minute is over", 30.0)


def test_nothing_is_green_while_it_is_away(
    cluster: Cluster,
    own_plane: ControlPlane,
    namespace: str,
    tmp_path: Path,
    started: list[subprocess.Popen[bytes]],
) -> None:
    place = place_of(tmp_path, cluster, namespace, {"web.yaml": vm_text("web", run_strategy="Halted")})
    place.gitvirt("apply")
    daemon = Process(place.home)
    started.append(daemon.process)
    daemon.wait_for("host.observed")
    wait_until(place.home.settings.control_socket.exists, "it answers")
    assert "nothing to do." in place.gitvirt("plan")
    own_plane.stop_api_server()
    away_at = datetime.now(UTC)
    try:
        text = place.gitvirt("plan", code=13)
        assert text.startswith("OUTDATED the API server does not answer (")
        assert "nothing to do, as far as is known." in text
        place.gitvirt("plan", "-detailed-exitcode", code=1)
        place.gitvirt("diff", code=13)
        plan = json.loads(place.gitvirt("plan", "-o", "json", code=13))
        assert abs(datetime.fromisoformat(plan["outdated"]["since"]) - away_at).total_seconds() < 5
        for command in (("reconcile",), ("apply", plan["plan_id"])):
            assert "nothing to do, as far as is known." in place.gitvirt(*command, code=13)
        assert "does not answer" in json.loads(place.gitvirt("status", "-o", "json"))["messages"][0]
        daemon.end()
        place.gitvirt("plan", code=13)
    finally:
        own_plane.start_api_server()
    assert "nothing to do." in place.gitvirt("plan")
