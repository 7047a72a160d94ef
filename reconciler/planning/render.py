"""A plan as people read it: text (with colour on a terminal) and markdown for a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from reconciler.model.plain_text import one_line
from reconciler.model.plan import Action, Change, Difference, Impact, Plan
from reconciler.planning.markdown_text import in_code, in_html, in_text

_SIGN = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.RESTART: "!"}
_COLOUR = {Action.CREATE: "32", Action.UPDATE: "33", Action.DELETE: "31", Action.RESTART: "35"}
_IMPACT_COLOUR = {
    Impact.NONE: "2",
    Impact.LIVE: "32",
    Impact.RESTART: "33",
    Impact.REPLACE: "31",
    Impact.DATA_LOSS: "1;31",
}
_VALUE_LIMIT = 120
_REASON_LIMIT = 1000


def render_text(plan: Plan, outdated: str = "", *, colour: bool = False) -> str:
    """The plan for a terminal or a log; ends with a newline. ``outdated`` says why it is not one of now."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    lines = [f"{paint('1;31', 'OUTDATED')} {one_line(outdated, _REASON_LIMIT)}"] if outdated else []
    for change in plan.changes:
        lines += _change_lines(change, paint)
    for hold in plan.held:
        how = f"`gitvirt approve {hold.hold_id}` releases it" if hold.approvable else "not released by approve"
        lines.append(paint("1;35", f"held {hold.hold_id} ({hold.rule}): {one_line(hold.reason)}; {how}"))
        for change in hold.changes:
            lines += [f"  {line}" for line in _change_lines(change, paint)]
    for entry in plan.blocked:
        word = "waiting" if entry.waiting else "blocked"
        lines.append(f"{paint('36', word)} {one_line(str(entry.key))}: {one_line(entry.by, 400)}")
    for key, differences in sorted(plan.restart_required.items()):
        shown = [difference for change in plan.changes if change.key == key for difference in change.differences]
        fields = ", ".join(
            one_line(difference.path) if difference in shown else _waiting_text(difference)
            for difference in differences
        )
        lines.append(f"{paint('33', 'RestartRequired')} {one_line(str(key))}: {fields}")
    for note in plan.notes:
        lines.append(f"{paint('2', 'note')} {one_line(str(note.key))}: {one_line(note.message, 400)}")
    lines.append(_summary(plan, outdated))
    return "\n".join(lines) + "\n"


def _change_lines(change: Change, paint: Any) -> list[str]:
    power = f", power: {change.power}" if change.power else ""
    head = f"{_SIGN[change.action]} {change.action} {one_line(str(change.key))}"
    impact = paint(_IMPACT_COLOUR[change.impact], f"[{change.impact}]")
    lines = [f"{paint(_COLOUR[change.action], head)} {impact} {one_line(change.reason, 400)}{power}"]
    lines += [f"    {_difference_text(d)} {paint(_IMPACT_COLOUR[d.impact], f'[{d.impact}]')} {one_line(d.reason, 200)}"
              for d in change.differences]  # fmt: skip
    return lines


def _waiting_text(difference: Difference) -> str:
    """What waits for a restart; where only that something does is known, who says so and why."""
    if _has_values(difference):
        return _difference_text(difference)
    return f"{one_line(difference.path)}: {one_line(difference.reason, 200)}"


def _difference_text(difference: Difference) -> str:
    if not _has_values(difference):
        return one_line(difference.path)
    return f"{one_line(difference.path)}: {_value(difference.before)} → {_value(difference.after)}"


def _has_values(difference: Difference) -> bool:
    return (difference.before, difference.after) != (None, None)


def _value(value: Any) -> str:
    if value is None:
        return "(absent)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return one_line(text, _VALUE_LIMIT)


def _summary(plan: Plan, outdated: str) -> str:
    then = ", as far as is known" if outdated else ""
    if not (plan.changes or plan.held):
        return f"Plan {plan.plan_id}: nothing to do{then}."
    counts = [
        f"{sum(1 for change in plan.changes if change.action is action)} to {action}"
        for action in Action
        if any(change.action is action for change in plan.changes)
    ]
    # A rewritten history is held as a whole.
    held = sum(len(hold.changes) or 1 for hold in plan.held)
    counts += [f"{held} held"] if held else []
    return f"Plan {plan.plan_id}: {', '.join(counts)}{then}."


def render_markdown(plan: Plan, outdated: str = "") -> str:
    """The plan for a pull request's comment; ``outdated`` as for `render_text`."""
    lines = [f"### gitvirt plan `{plan.plan_id}`", ""]
    lines += [f"**Outdated**: {in_text(outdated)}", ""] if outdated else []
    if plan.changes:
        lines += ["| | object | action | impact | why |", "|---|---|---|---|---|"]
        lines += [_row(change) for change in plan.changes]
        lines.append("")
    for change in plan.changes:
        lines += _detail(change)
    for hold in plan.held:
        lines += [f"**Held** `{hold.hold_id}` ({hold.rule}): {in_text(hold.reason)}", ""]
        lines += [f"- {change.action} {in_code(str(change.key))}" for change in hold.changes]
        lines.append("")
    lines += _list("Blocked", (f"{in_code(str(entry.key))}: {in_text(entry.by)}" for entry in plan.blocked))
    lines += _list("Notes", (f"{in_code(str(note.key))}: {in_text(note.message)}" for note in plan.notes))
    lines.append(_summary(plan, outdated))
    return "\n".join(lines) + "\n"


def _row(change: Change) -> str:
    cells = (
        _SIGN[change.action],
        in_code(str(change.key)),
        str(change.action),
        str(change.impact),
        in_text(change.reason),
    )
    return f"| {' | '.join(cells)} |"


def _detail(change: Change) -> list[str]:
    if not change.differences:
        return []
    lines = [f"<details><summary>{in_html(str(change.key))}: {len(change.differences)} fields</summary>", ""]
    lines += ["| field | from | to | impact | why |", "|---|---|---|---|---|"]
    for d in change.differences:
        cells = (
            in_code(d.path),
            in_text(_value(d.before)),
            in_text(_value(d.after)),
            str(d.impact),
            in_text(d.reason),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", "</details>", ""]


def _list(title: str, items: Iterable[str]) -> list[str]:
    rows = [f"- {item}" for item in items]
    return [f"**{title}**", "", *rows, ""] if rows else []
