"""What the cycle works out change by change is what it would work out from nothing (law 10 may cost no truth): after each look, what is
wanted and what is planned are made once more by a resolver and a planner that remember nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler.daemon.cycle import Cycle
from reconciler.model.declared import Declared
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.resolved import DesiredState, ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.planning.planner import Planner, make_plan
from reconciler.planning.resolve import Resolver, resolve
from reconciler.ports import Engine

COMPARED = ("objects", "invalid", "blocked", "not_here", "trouble", "claims_in_use")
"""What of a desired state is compared."""

Report = Callable[[str], None]


def compare_with_nothing(
    cycle: Cycle, *, policy: Policy, digest: Callable[[bytes], str], engine: Engine, report: Report
) -> None:
    """Have a cycle that did not begin yet tell what its looks work out differently than a beginner does."""
    lookout = cycle._lookout  # what it remembers is what is judged
    lookout._resolver = _ComparedResolver(policy, digest, report)
    lookout._planner = _ComparedPlanner(policy, engine, report)


class _ComparedResolver(Resolver):
    def __init__(self, policy: Policy, digest: Callable[[bytes], str], report: Report) -> None:
        super().__init__(policy, digest)
        self._report = report

    def update(
        self, declared: Declared, observation: Observation, changed: Collection[ObjectKey] | None
    ) -> DesiredState:
        state = super().update(declared, observation, changed)
        if changed is not None:
            expected = resolve(declared, observation, policy=self._policy, digest=self._digest)
            for field in COMPARED:
                for one in differing(getattr(state, field), getattr(expected, field)):
                    self._report(f"by change, `{field}` of {one} is another than from nothing")
        return state


class _ComparedPlanner(Planner):
    def __init__(self, policy: Policy, engine: Engine, report: Report) -> None:
        super().__init__(policy, engine)
        self._report = report

    def plan(
        self,
        desired: DesiredState,
        observation: Observation,
        *,
        touched: Collection[ObjectKey] | None,
        now: datetime,
        **asked: Any,
    ) -> Plan:
        plan = super().plan(desired, observation, touched=touched, now=now, **asked)
        if touched is not None:
            expected = make_plan(desired, observation, policy=self._policy, engine=self._engine, now=now, **asked)
            if _shown(plan) != _shown(expected):
                self._report(f"by change, the plan is {_shown(plan)}; from nothing it is {_shown(expected)}")
        return plan


def differing(one: Mapping[Any, object], other: Mapping[Any, object]) -> list[object]:
    """The keys under which two mappings of a desired state do not say the same."""
    return [key for key in {**one, **other} if _plain(one.get(key)) != _plain(other.get(key))]


def _plain(value: object) -> object:
    """Documents of templates, and last applied ones, are other objects each time they are made."""
    if isinstance(value, Document):
        return value.key, value.digest, value.file, value.place()
    if isinstance(value, ResolvedVm | ResolvedVolume | ResolvedNetwork) and value.document is not None:
        return replace(value, document=None), value.document.body, value.document.file
    return value


def _shown(plan: Plan) -> tuple[object, ...]:
    return plan.plan_id, plan.to_dict(), plan.retry_after_s
