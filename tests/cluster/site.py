"""One namespace of a cluster with an engine of its own, and what was declared in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.keeping import version_of
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, VM
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject
from reconciler.model.resolved import ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.planning.resolve_cluster import network_of_cluster, vm_of_cluster, volume_of_cluster
from reconciler.planning.resolve_vm import References
from reconciler.ports import Clock
from tests.cluster.hands import Hands, wait_until
from tests.contract.builders import Site, digest

_BESIDE = {VM: INSTANCE, DATA_VOLUME: CLAIM}


@dataclass(kw_only=True)
class ClusterSite(Site):
    """A site whose manifests are resolved for a cluster, and the engine that sees its namespace."""

    hands: Hands
    kubeconfig: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.engine = self.another_engine()

    def another_engine(self, **settings: Any) -> KubevirtEngine:
        """An engine that sees this namespace alone."""
        own = {"namespaces": (self.namespace,), "lease_namespace": self.namespace}
        made = {"kubeconfig": str(self.kubeconfig), **own, **self.settings, **settings}
        return KubevirtEngine(KubevirtSettings(**made), self.policy, self.clock)

    def look(self, key: ObjectKey) -> LiveObject | None:
        """A live object, with nothing unreadable."""
        observation = self.engine.observe([key])
        assert not observation.is_unknown(key), observation.unreadable
        return observation.objects.get(key)

    def caught_up(self, key: ObjectKey, engine: KubevirtEngine | None = None) -> LiveObject | None:
        """A live object, once an engine (this site's) has seen all that was written of it and of what is beside it until now. Each kind has a
        watch of its own: of two writes the later one may be told first, and the earlier one just when a plan is carried out.
        """
        seeing = engine or self.engine
        seeing.observe(())
        for kind in filter(None, (key.kind, _BESIDE.get(key.kind))):
            there = version_of(self.hands.get(kind, key.namespace, key.name) or {})

            def is_seen(kind: str = kind, there: int = there) -> bool:
                known = seeing._caches.get(kind, (key.namespace, key.name))
                return known is None if there == 0 else version_of(known or {}) >= there

            wait_until(is_seen, f"{kind} {key.name} is seen as it is")
        return seeing.observe([key]).objects.get(key)

    def labels(self, key: ObjectKey, engine: KubevirtEngine | None = None) -> Mapping[str, str]:
        """The labels of an object, as an engine (this site's) has last seen them."""
        live = (engine or self.engine).observe([key]).objects.get(key)
        metadata = live.served.document["metadata"] if live is not None and live.served is not None else {}
        return metadata.get("labels") or {}

    def writes(self) -> int:
        """How many requests that write were made."""
        return sum(count for method, count in self.engine.requests.items() if method != "GET")

    def _resolve_volume(self, manifest: Document) -> ResolvedVolume:
        return volume_of_cluster(manifest, digest, None)

    def _resolve_network(self, manifest: Document) -> ResolvedNetwork:
        return network_of_cluster(manifest, digest)

    def _resolve_vm(self, manifest: Document, references: References) -> ResolvedVm:
        return vm_of_cluster(manifest, references, policy=self.policy, digest=digest)
