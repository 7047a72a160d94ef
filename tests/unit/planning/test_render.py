"""A plan as text: what is told where there are no values to tell."""

from __future__ import annotations

from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Difference, Impact, Plan
from reconciler.planning.render import render_markdown, render_text

KEY = ObjectKey("VirtualMachine", "prod", "web")


def said(before: Any, after: Any) -> str:
    """The line of a VM that waits for a restart."""
    difference = Difference(
        path="spec.template",
        before=before,
        after=after,
        impact=Impact.RESTART,
        reason="a field was changed",
        stored=False,
    )
    return render_text(Plan(plan_id="p", revisions={}, changes=(), restart_required={KEY: (difference,)})).splitlines()[
        0
    ]


def test_what_waits_for_a_restart_is_told_with_its_values_and_without_them_with_its_reason() -> None:
    assert said(1, 2) == "RestartRequired VirtualMachine/prod/web: spec.template: 1 → 2"
    assert said(None, 2) == "RestartRequired VirtualMachine/prod/web: spec.template: (absent) → 2"
    assert said(None, None) == "RestartRequired VirtualMachine/prod/web: spec.template: a field was changed"


def test_a_plan_that_is_not_one_of_now_says_so_first_and_last() -> None:
    plan, why = Plan(plan_id="p", revisions={}, changes=()), "the API server does not answer"
    text, markdown = render_text(plan, why).splitlines(), render_markdown(plan, why).splitlines()
    assert text == [f"OUTDATED {why}", "Plan p: nothing to do, as far as is known."]
    assert (markdown[2], markdown[-1]) == (f"**Outdated**: {why}", text[-1])
    assert render_text(plan) == "Plan p: nothing to do.\n"
