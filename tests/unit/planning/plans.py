"""Plans of a few manifests against a host that is described, for tests."""

from __future__ import annotations

from typing import Any

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.planning.offline import as_if_live
from reconciler.planning.planner import make_plan
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import NOW, POLICY, claim, declared, digest, observed, vm

ENGINE = SimulatedEngine(Host(SimulatedClock()), owner="gitvirt", clock=SimulatedClock(), workers=SteppedWorkers())
WEB = vm("web") + claim("web-root")
VM, PVC = "VirtualMachine", "PersistentVolumeClaim"


def key(kind: str, name: str) -> ObjectKey:
    return ObjectKey(kind, "default", name)


def live_of(text: str, policy: Policy = POLICY) -> dict[ObjectKey, LiveObject]:
    said = declared(text, origin=policy.sources[0].identity)
    desired = resolve(said, observed(), policy=policy, digest=digest)
    return {k: as_if_live(resolved, policy, "r0") for k, resolved in desired.objects.items()}


def plan(text: str, live: dict[ObjectKey, LiveObject], policy: Policy = POLICY, **more: Any) -> Plan:
    observation = observed(
        *live.values(), **{n: more.pop(n) for n in ("trash", "unreadable", "foreign_vms") if n in more}
    )
    complete = more.pop("complete", True)
    said = declared(text, complete=complete, origin=policy.sources[0].identity)
    desired = resolve(said, observation, policy=policy, digest=digest)
    return make_plan(desired, observation, policy=policy, engine=ENGINE, now=NOW, **more)


def many(count: int) -> str:
    return "".join(vm(f"vm{i:02}") + claim(f"vm{i:02}-root") for i in range(count))
