"""A plan between two revisions, without a host: what a pull request would do to VMs that are as the base says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.model.declared import Declared, reading_of
from reconciler.model.domain import DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import (
    HostFacts,
    LiveNetwork,
    LiveObject,
    LiveResource,
    LiveVm,
    LiveVolume,
    Marks,
    Observation,
)
from reconciler.model.origin import Origin
from reconciler.model.persistent import with_changes
from reconciler.model.plan import Note, Plan
from reconciler.model.policy import Mode, Policy
from reconciler.model.power import PowerState, RunHistory, RunStrategy, StopReason
from reconciler.model.resolved import (
    DesiredState,
    Resolved,
    ResolvedNetwork,
    ResolvedResource,
    ResolvedVm,
    ResolvedVolume,
)
from reconciler.planning.planner import make_plan
from reconciler.planning.redact import Digest
from reconciler.planning.resolve import resolve
from reconciler.ports import Engine

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def plan_between(base: Declared | None, head: Declared, *, engine: Engine, policy: Policy, digest: Digest) -> Plan:
    """What applying ``head`` would do on a host where ``base`` (None: nothing) is true and its VMs do what their run
    strategy says. It touches nothing and knows nothing of drift.
    """
    host = HostFacts(hostname=policy.host, labels=policy.host_labels)
    empty = Observation(taken_at=_EPOCH, host=host, objects={})
    objects: dict[ObjectKey, LiveObject] = {}
    if base is not None:
        for key, resolved in resolve(base, empty, policy=policy, digest=digest).objects.items():
            objects[key] = as_if_live(resolved, policy, reading_of(base.readings, "").revision)
    observation = Observation(taken_at=_EPOCH, host=host, objects=objects)
    desired = _outside_windows(resolve(head, observation, policy=policy, digest=digest))
    enforced = _enforced(policy)
    plan = make_plan(desired, observation, policy=enforced, engine=engine, now=_EPOCH, in_the_end=True)
    elsewhere = (Note(key=key, code="not-here", message=why) for key, why in sorted(desired.not_here.items()))
    return replace(plan, notes=(*plan.notes, *elsewhere))


def _outside_windows(desired: DesiredState) -> DesiredState:
    """No restart window is open while nobody knows the time."""
    closed = {
        key: replace(wanted, restart_window=None)
        for key, wanted in desired.objects.items()
        if isinstance(wanted, ResolvedVm) and wanted.restart_window is not None
    }
    return replace(desired, objects=with_changes(desired.objects, closed)) if closed else desired


def _enforced(policy: Policy) -> Policy:
    """The question is what would be done, so report mode does not hide the answer; files come from no source."""
    return replace(policy, mode=Mode.ENFORCE, namespace_modes={}, sources=(Origin(),))


def as_if_live(resolved: Resolved, policy: Policy, revision: str) -> LiveObject:
    """A live object that is exactly as wanted."""
    marks = Marks(owner=policy.owner, host=policy.host, revision=revision, applied=resolved.applied)
    match resolved:
        case ResolvedVm():
            return _vm_as_if_live(resolved, marks)
        case ResolvedVolume():
            return LiveVolume(
                key=resolved.key,
                fingerprint="base",
                marks=marks,
                pool=resolved.pool,
                volume=f"{resolved.key.namespace}_{resolved.key.name}",
                format=resolved.format,
                size_bytes=resolved.size_bytes,
                source=resolved.source,
                storage_class=resolved.storage_class,
                encrypted=resolved.encrypted,
            )
        case ResolvedNetwork():
            return LiveNetwork(key=resolved.key, fingerprint="base", marks=marks, network=resolved.network, active=True)
        case ResolvedResource():
            return LiveResource(key=resolved.key, fingerprint="base", marks=marks)


def _vm_as_if_live(resolved: ResolvedVm, marks: Marks) -> LiveVm:
    off = resolved.run_strategy in (RunStrategy.HALTED, RunStrategy.MANUAL)
    running: DomainSpec | None = None if off else resolved.domain
    return LiveVm(
        key=resolved.key,
        fingerprint="base",
        marks=marks,
        stored=resolved.domain,
        running=running,
        power=PowerState.OFF if off else PowerState.RUNNING,
        stop_reason=StopReason.GITVIRT if off else StopReason.UNKNOWN,
        history=RunHistory(runs=0 if off else 1),
    )
