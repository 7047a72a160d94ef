"""Law 4: who restarts a VM for a change that needs it, and when."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from reconciler.model.live import LiveVm
from reconciler.model.resolved import ResolvedVm, RestartPolicy

_WHOSE = {
    RestartPolicy.MANUAL: "which is the operator's (policy Manual)",
    RestartPolicy.WINDOW: "in the VM's restart window (policy Window)",
    RestartPolicy.IMMEDIATE: "which is gitvirt's (policy Immediate)",
}


def whose_restart(policy: RestartPolicy) -> str:
    """Who does the restart that a change waits for."""
    return _WHOSE[policy]


def restarts_by_itself(wanted: ResolvedVm, live: LiveVm, now: datetime) -> bool:
    """Whether the policy restarts the VM now; in a window once."""
    if wanted.restart_policy is RestartPolicy.IMMEDIATE:
        return True
    opened_at = wanted.restart_window.opened_at(now) if wanted.restart_window is not None else None
    restarted_at = live.history.last_restart_at
    return opened_at is not None and (restarted_at is None or restarted_at < opened_at)


def seconds_to_opening(wanted: ResolvedVm, now: datetime) -> float | None:
    """Until the VM's window opens next; None for a VM without one."""
    return None if wanted.restart_window is None else (wanted.restart_window.next_opening(now) - now).total_seconds()


def opening_text(wanted: ResolvedVm, now: datetime) -> str:
    """``its restart window opens Sun 2026-03-01 03:00 CET``, with ``again`` for one that is open; empty for a VM without one."""
    window = wanted.restart_window
    if window is None:
        return ""
    again = " again" if window.opened_at(now) is not None else ""
    return f"its restart window opens{again} {window.next_opening(now).astimezone(ZoneInfo(window.zone)):%a %Y-%m-%d %H:%M %Z}"
