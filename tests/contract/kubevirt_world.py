"""A cluster as a world of the contract suite: an API server, real where there is one, with KubeVirt's and CDI's controllers played.

The engine is as its settings leave it by themselves. Guests, disks and the clock are the platform's of `tests.cluster.platform`; requests and watches are real.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import CLAIM, KINDS, NETWORK, VM
from reconciler.daemon.clock import SystemClock
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from tests.cluster.front import Front
from tests.cluster.hands import Hands, wait_until
from tests.cluster.planes import Cluster
from tests.cluster.platform import STORAGE_CLASS, Platform
from tests.cluster.played_volumes import IMAGES
from tests.cluster.site import ClusterSite
from tests.contract.world import Traits

_GENERATED = "cloud-init data is part of the VM's document: nothing is generated beside it"
_NEVER = 10**6


class _Clock:
    """Time that can be passed."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.passed_s = 0.0

    def now(self) -> datetime:
        return self._real.now() + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self._real.monotonic() + self.passed_s


class KubevirtWorld:
    """See `World`."""

    traits = Traits(
        plugs=False,
        runs_guests=False,
        fills_volumes=False,
        moves_trash=False,
        takes_over=False,
        mirrors_spec=False,
        marks_outlive_volumes=False,
        absent={"generated volumes": _GENERATED},
    )

    def __init__(self, cluster: Cluster, namespace: str, directory: Path) -> None:
        self._hands: Hands = cluster.hands
        self._in_memory = cluster.in_memory
        self._namespace = namespace
        self._platform = Platform(cluster.hands, namespace)
        self._platform.install()
        self._front = Front(cluster.kubeconfig, lambda verb, _, name: self._platform.vms.act(verb, name))
        self._clock = _Clock()
        self.site = ClusterSite(
            hands=cluster.hands,
            kubeconfig=self._front.kubeconfig(directory / "front.kubeconfig"),
            namespace=namespace,
            policy=Policy(owner="contract", host="cluster", default_namespace=namespace, on_cluster=True),
            storage_class=STORAGE_CLASS,
            settings={"stale_after_s": 0.0},
            clock=self._clock,
        )
        self.engine.observe(None)

    @property
    def server(self) -> str:
        """What the requests go to, for people."""
        version = self.engine.observe(None).host.hypervisor
        return f"{version}, {'in memory' if self._in_memory else 'a real API server'}"

    @property
    def engine(self) -> KubevirtEngine:
        return self.site.engine

    def clean_up(self) -> None:
        """End what was started; the namespace is the fixture's."""
        self.engine.close()
        self._front.close()

    def bridge(self, number: int) -> str:
        return f"br{number}"

    def pass_time(self, seconds: float) -> None:
        self._clock.passed_s += seconds
        self._platform.pass_time(seconds)

    def settle(self) -> None:
        listed = self._platform.settle()
        caches = self.engine._caches
        for kind, objects in listed.items():
            versions = {name: one["metadata"]["resourceVersion"] for name, one in objects.items()}
            _soon(
                lambda kind=kind, versions=versions: (
                    versions == {name[1]: one["metadata"]["resourceVersion"] for name, one in caches.items(kind)}
                ),
                f"{kind} are as the server has them",
            )

    def runs(self, key: ObjectKey) -> int:
        self.settle()
        return self._platform.vms.runs.get(key.name, 0)

    def publish(self, guest: str) -> str:
        return f"{IMAGES}/fast/{guest}"

    def publish_slowly(self, guest: str) -> str:
        return f"{IMAGES}/slow/{guest}"

    def write(self, key: ObjectKey, pattern: int) -> None:
        self._platform.volumes.write(key.name, pattern)

    def reads(self, key: ObjectKey, pattern: int) -> bool:
        return self._platform.volumes.reads(key.name, pattern)

    def destroy(self, key: ObjectKey) -> None:
        self._platform.vms.pull_plug(key.name)

    def kill(self, key: ObjectKey) -> None:
        self._platform.vms.kill(key.name)

    def edit_memory(self, key: ObjectKey, mib: int) -> None:
        memory = {"domain": {"memory": {"guest": f"{mib}Mi"}}}
        self._hands.patch(VM, key.namespace, key.name, {"spec": {"template": {"spec": memory}}})

    def undefine(self, key: ObjectKey) -> None:
        self._hands.delete(VM, key.namespace, key.name)

    def volume_names(self) -> tuple[str, ...]:
        return tuple(sorted(one["metadata"]["name"] for one in self._hands.list(CLAIM, self._namespace)))

    def spoil_network(self, key: ObjectKey) -> None:
        config = {"config": json.dumps({"cniVersion": "0.3.1", "type": "bridge", "bridge": "elsewhere"})}
        self._hands.patch(NETWORK, key.namespace, key.name, {"spec": config})

    def make_foreign_vm(self, name: str) -> ObjectKey:
        spec = {"runStrategy": "Halted", "template": {"spec": {"domain": {"memory": {"guest": "32Mi"}}}}}
        metadata = {"name": name, "namespace": self._namespace}
        self._hands.create({"apiVersion": KINDS[VM].api_version, "kind": VM, "metadata": metadata, "spec": spec})
        self.settle()
        return ObjectKey(VM, self._namespace, name)

    def own_name(self, key: ObjectKey) -> str:
        return f"{key.namespace}/{key.name}"

    def snapshot_of(self, key: ObjectKey) -> str:
        found = self._hands.get(VM, key.namespace, key.name) or {}
        return json.dumps(found, sort_keys=True)

    def lose(self, key: ObjectKey) -> Callable[[], None]:
        """After a cycle that saw the claim; a second one of its name is made in another second, which is all that the server says of time."""
        self.settle()
        noted = self.engine.note_disks()
        assert not noted.is_fault, noted
        self._platform.volumes.lose(key.name)
        self.settle()
        time.sleep(1.0 - time.time() % 1.0)

        def put_back() -> None:
            self._platform.volumes.put_back(key.name)
            self.settle()

        return put_back

    def darken_pool(self) -> Callable[[], None]:
        """Claims may neither be read nor written any more."""
        planned = self._front.plan(rf"{KINDS[CLAIM].path(self._namespace)}\b", 403, "may not", times=_NEVER)
        self._front.cut_watches()
        _soon(lambda: CLAIM in self.engine._caches.gaps(), "claims cannot be read")

        def brighten() -> None:
            planned.times = 0
            wait_until(lambda: not self.engine._caches.gaps(), "claims can be read again")

        return brighten


def _soon(true: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Like `wait_until`, for what takes a millisecond or two."""
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until, f"did not come true within {limit_s} s: {what}"
        time.sleep(0.002)
