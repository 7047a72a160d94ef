"""Restarts that KubeVirt says are due, by the VM's own policy and through KubeVirt's restart, with the commands of a user."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodeexec.kubevirt.kinds import VM
from reconciler.cli.app import build_app, split_shared
from tests.cluster.conftest import Cluster
from tests.cluster.front import Front
from tests.cluster.virt_api import VirtApi
from tests.unit.daemon.homes import Home, make_home, vm_text

_RUNNER = CliRunner()
DUE = {"type": "RestartRequired", "status": "True", "message": "a non-live-updatable field was changed"}


def web(policy: str, window: str = "", *, cores: int = 1) -> str:
    """A VM of a restart policy."""
    said = f"gitvirt.io/restart-policy: {policy}" + (f", gitvirt.io/restart-window: '{window}'" if window else "")
    return vm_text("web", cores=cores).replace("{name: web}", f"{{name: web, annotations: {{{said}}}}}", 1)


def window(begins: timedelta) -> str:
    """A window of two hours that begins so long from now, every day."""
    at = datetime.now(UTC) + begins
    return f"{at.minute} {at.hour} * * * for 2h in UTC"


class Place:
    """A repository with one VM that runs, and KubeVirt's actions behind the API server."""

    def __init__(self, directory: Path, cluster: Cluster, namespace: str) -> None:
        self.hands, self.namespace = cluster.hands, namespace
        self.front = Front(cluster.kubeconfig, VirtApi(cluster.hands))
        kubeconfig = str(self.front.kubeconfig(directory / "front.kubeconfig"))
        engine = {"kubeconfig": kubeconfig, "namespaces": [namespace], "leaseNamespace": namespace}
        self.home: Home = make_home(
            directory, {"web.yaml": web("Manual")}, engine={"kubevirt": engine}, defaultNamespace=namespace
        )
        self.gitvirt("apply")
        self.hands.run_instance(namespace, "web")

    def commit(self, text: str) -> None:
        """Another manifest, applied."""
        self.home.commit({"web.yaml": text})
        self.gitvirt("apply")

    def is_due(self) -> None:
        """KubeVirt says that a restart is due."""
        self.hands.set_status(VM, self.namespace, "web", {"conditions": [DUE]})

    def gitvirt(self, *arguments: str) -> str:
        """What a command prints."""
        shared, rest = split_shared([*arguments, "--settings", str(self.home.settings_file)])
        done = _RUNNER.invoke(build_app(), [*shared, *rest])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    @property
    def restarts(self) -> int:
        """How often KubeVirt was asked for one."""
        return [verb for verb, _, _ in self.front.acted].count("restart")


@pytest.fixture
def place(tmp_path: Path, emulated: Cluster) -> Iterator[Place]:
    """See `Place`."""
    namespace = f"restarts-{tmp_path.name}"[:40].rstrip("-").replace("_", "-")
    emulated.hands.make_namespace(namespace)
    made = Place(tmp_path, emulated, namespace)
    yield made
    made.front.close()


def test_in_its_window_and_not_before(place: Place) -> None:
    place.commit(web("Window", window(timedelta(hours=6)), cores=2))
    place.is_due()
    place.gitvirt("apply")
    assert place.restarts == 0
    shown = place.gitvirt("get", "vm", "web", "-o", "wide")
    assert "RestartRequired" in shown
    place.commit(web("Window", window(timedelta(hours=-1)), cores=2))
    assert place.restarts == 1
    place.gitvirt("apply")
    assert place.restarts == 1
    assert "RestartRequired" not in place.gitvirt("get", "vm", "web", "-o", "wide")
    place.is_due()
    place.gitvirt("apply")
    assert place.restarts == 1, "once in a window"


def test_at_once_but_only_when_kubevirt_says_that_it_is_due(place: Place) -> None:
    place.commit(web("Immediate", cores=2))
    assert place.restarts == 0
    place.is_due()
    place.gitvirt("apply")
    assert place.restarts == 1


def test_never_by_itself_and_when_asked(place: Place) -> None:
    place.commit(web("Manual", cores=2))
    place.is_due()
    place.gitvirt("apply")
    assert place.restarts == 0
    assert "gitvirt restart" in place.gitvirt("get", "vm", "web", "-o", "wide")
