"""Power is its own plane (law 8): what KubeVirt's runStrategy, or an operator who overrides it, wants of a guest now.

Source: KubeVirt's documentation of run strategies and its start back-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.live import LiveObject, LiveVm
from reconciler.model.power import Override, OverrideAction, PowerState, PowerStep, RunStrategy, StopReason

BACKOFF_FIRST_S = 10.0
BACKOFF_MOST_S = 300.0
_FAILED_STOPS = (StopReason.FAILED, StopReason.DESTROYED, StopReason.HOST, StopReason.UNKNOWN, StopReason.GITVIRT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDecision:
    """``step`` None means leave it. ``reason`` is for people, also where nothing is done. ``by_operator`` says that an
    override decided. ``retry_after_s`` is when a decision that waits (back-off, a stop under way) is due again.
    """

    step: PowerStep | None
    reason: str = ""
    by_operator: bool = False
    retry_after_s: float | None = None


def decide_power(strategy: RunStrategy, live: LiveVm | None, now: datetime) -> PowerDecision:
    """What to do to a guest's power. ``live`` is None for a VM that is to be created."""
    override = current_override(live, now)
    if override is not None and live is not None:
        return _overridden(override, live, now)
    if live is None:
        starts = strategy not in (RunStrategy.HALTED, RunStrategy.MANUAL)
        return PowerDecision(step=PowerStep.START if starts else None, reason=f"runStrategy {strategy}")
    if strategy is RunStrategy.HALTED:
        return _stop(live, "runStrategy Halted")
    if (pause := _pause_that_ended(live)) is not None:
        return PowerDecision(
            step=PowerStep.UNPAUSE, reason=f"the pause by operator {pause.by} is over", by_operator=True
        )
    if strategy is RunStrategy.MANUAL:
        return _continue_stop(live) or PowerDecision(step=None, reason="runStrategy Manual: power is the operator's")
    if live.power not in (PowerState.OFF, PowerState.CRASHED):
        return _continue_stop(live) or PowerDecision(step=None)
    if not _wants_another_run(strategy, live):
        return _continue_stop(live) or PowerDecision(
            step=None, reason=f"runStrategy {strategy}: the guest ended ({live.stop_reason})"
        )
    return _start(live, f"runStrategy {strategy}", now)


def platform_power(strategy: RunStrategy, live: LiveVm | None, now: datetime) -> PowerDecision:
    """The same where a platform carries out run strategies: only what an operator asked for, and a stop or restart that was
    begun, is gitvirt's.
    """
    said = PowerDecision(step=None, reason=f"runStrategy {strategy}, carried out by KubeVirt")
    if live is None:
        return said
    if current_override(live, now) is not None:
        return decide_power(strategy, live, now)
    if (pause := _pause_that_ended(live)) is not None:
        reason = f"the pause by operator {pause.by} is over"
        return PowerDecision(step=PowerStep.UNPAUSE, reason=reason, by_operator=True)
    if (stop := _stop_that_ended(live)) is not None and strategy is RunStrategy.RERUN_ON_FAILURE:
        # The platform stops such a guest without a word in its strategy, and waits to be asked for the next start.
        reason = f"the stop by operator {stop.by} is over"
        return PowerDecision(step=PowerStep.START, reason=reason, by_operator=True)
    return _continue_stop(live) or said


def current_override(live: LiveVm | None, now: datetime) -> Override | None:
    """The operator's action that holds now."""
    override = live.marks.override if live is not None and live.marks is not None else None
    return override if override is not None and override.holds(now) else None


def has_ended_act(live: LiveObject, now: datetime) -> bool:
    """Whether an operator's action is still noted although it is over: what it left is about to be undone."""
    override = live.marks.override if live.marks is not None else None
    return override is not None and not override.holds(now)


def _pause_that_ended(live: LiveVm) -> Override | None:
    """The operator's pause that a paused guest still stands in although its time is over; called where none holds."""
    override = live.marks.override if live.marks is not None else None
    is_pause = override is not None and override.action is OverrideAction.PAUSE
    return override if is_pause and live.power is PowerState.PAUSED else None


def _stop_that_ended(live: LiveVm) -> Override | None:
    """The operator's stop that a guest is still off by although its time is over; called where none holds."""
    override = live.marks.override if live.marks is not None else None
    is_stop = override is not None and override.action is OverrideAction.STOP
    return override if is_stop and live.power is PowerState.OFF else None


def seconds_to_expiry(live: LiveVm, now: datetime) -> float | None:
    """When the operator's action or suspension that holds now ends by itself; None for never."""
    if live.marks is None:
        return None
    override = current_override(live, now)
    ends = (override.until if override else None, live.marks.suspended_until if live.marks.suspended else None)
    return min(((end - now).total_seconds() for end in ends if end is not None and end > now), default=None)


def until_text(until: datetime | None) -> str:
    """The end of what an operator did, to be put behind it; empty for none."""
    return f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""


def _wants_another_run(strategy: RunStrategy, live: LiveVm) -> bool:
    """Whether a guest that is off should run again."""
    if strategy is RunStrategy.ALWAYS or live.history.runs == 0:
        return True
    return strategy is RunStrategy.RERUN_ON_FAILURE and live.stop_reason in _FAILED_STOPS


def _overridden(override: Override, live: LiveVm, now: datetime) -> PowerDecision:
    reason = f"{override.action} by operator {override.by}"
    match override.action:
        case OverrideAction.STOP:
            decision = _stop(live, reason)
        case OverrideAction.START if live.power in (PowerState.OFF, PowerState.CRASHED):
            ended_since = live.history.started_at is not None and live.history.started_at >= override.at
            decision = (
                PowerDecision(step=None, reason=f"{reason}; the guest ended since ({live.stop_reason})")
                if ended_since
                else _start(live, reason, now)
            )
        case OverrideAction.START:
            paused = live.power is PowerState.PAUSED
            decision = PowerDecision(step=PowerStep.UNPAUSE if paused else None, reason=reason)
        case OverrideAction.PAUSE:
            running = live.power is PowerState.RUNNING
            decision = PowerDecision(step=PowerStep.PAUSE if running else None, reason=reason)
    return PowerDecision(
        step=decision.step, reason=decision.reason, by_operator=True, retry_after_s=decision.retry_after_s
    )


def _stop(live: LiveVm, reason: str) -> PowerDecision:
    if live.power is PowerState.OFF:
        return PowerDecision(step=None, reason=reason)
    return PowerDecision(step=PowerStep.STOP, reason=reason)


def _continue_stop(live: LiveVm) -> PowerDecision | None:
    """A restart that was begun goes on until the guest is off, whatever else is wanted; and it ends with a start, of a guest
    that runs ``Once`` as well.
    """
    if live.history.stop_requested_at is not None and live.history.stop_asked_by == "restart":
        return PowerDecision(step=PowerStep.RESTART, reason="the restart that was begun goes on")
    return None


def _start(live: LiveVm, reason: str, now: datetime) -> PowerDecision:
    """Start now, or when the back-off of a guest that keeps failing is over."""
    ended = live.history.ended_at
    failures = live.history.failures_until(ended) + (1 if live.stop_reason is StopReason.FAILED else 0)
    if failures >= 2 and ended is not None:
        delay = min(BACKOFF_FIRST_S * 2 ** (failures - 2), BACKOFF_MOST_S)
        left = (ended + timedelta(seconds=delay) - now).total_seconds()
        # More than the whole of it is left only if the clock was set back since: nobody waits for that day to come again.
        if 0 < left <= delay:
            return PowerDecision(
                step=None,
                reason=f"back-off: {failures} failed runs in a row, next start in {left:.0f} s",
                retry_after_s=left,
            )
    return PowerDecision(step=PowerStep.START, reason=reason)


def is_backing_off(decision: PowerDecision) -> bool:
    """Whether a start waits for the back-off (KubeVirt's CrashLoopBackOff)."""
    return decision.step is None and decision.retry_after_s is not None
