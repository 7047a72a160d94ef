"""A place with one VM that runs, and KubeVirt's actions behind the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeexec.kubevirt.kinds import VM
from tests.cluster.front import Front
from tests.cluster.place import Place, place_of
from tests.cluster.planes import Cluster
from tests.cluster.virt_api import VirtApi
from tests.unit.daemon.homes import vm_text

DUE = {"type": "RestartRequired", "status": "True", "message": "a non-live-updatable field was changed"}


def web(policy: str, window: str = "", *, cores: int = 1) -> str:
    """A VM of a restart policy."""
    said = f"gitvirt.io/restart-policy: {policy}" + (f", gitvirt.io/restart-window: '{window}'" if window else "")
    return vm_text("web", cores=cores).replace("{name: web}", f"{{name: web, annotations: {{{said}}}}}", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmPlace(Place):
    """See the module. All requests pass the front."""

    front: Front

    def declare(self, text: str) -> None:
        """Another manifest of the VM, applied."""
        self.home.commit({"web.yaml": text})
        self.gitvirt("apply")

    def is_due(self) -> None:
        """KubeVirt says that a restart is due."""
        self.hands.set_status(VM, self.namespace, "web", {"conditions": [DUE]})

    @property
    def restarts(self) -> int:
        """How often KubeVirt was asked for one."""
        return [verb for verb, _, _ in self.front.acted].count("restart")


def with_one_vm(directory: Path, cluster: Cluster, namespace: str) -> Iterator[VmPlace]:
    """One in a namespace of its own, for as long as it is looked at."""
    cluster.hands.make_namespace(namespace)
    front = Front(cluster.kubeconfig, VirtApi(cluster.hands))
    try:
        kubeconfig = front.kubeconfig(directory / "front.kubeconfig")
        made = place_of(directory, cluster, namespace, {"web.yaml": web("Manual")}, kubeconfig=kubeconfig)
        made.gitvirt("apply")
        made.hands.run_instance(namespace, "web")
        yield VmPlace(home=made.home, hands=made.hands, namespace=namespace, front=front)
    finally:
        front.close()
