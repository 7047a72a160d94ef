"""Whether an object that nothing is to be done about is what others may build on: a later sync wave waits for that.

*Source*: KubeVirt's printableStatus of a VM and its condition Ready; CDI's phases of a DataVolume.
"""

from __future__ import annotations

from reconciler.model.live import LiveObject, LiveResource, LiveVm, LiveVolume
from reconciler.model.power import OverrideAction, PowerState, RunStrategy, StopReason
from reconciler.model.resolved import Resolved, ResolvedVm
from reconciler.planning.power import current_override, decide_power, is_backing_off
from reconciler.planning.proposal import Circumstances

_UP = ("Running", "Paused", "Migrating")
_BY_HAND = (RunStrategy.HALTED, RunStrategy.MANUAL)
_UNFINISHED = ("InProgress", "Failed")
"""Phases of a snapshot."""
_WAITS_FOR_ITS_USER = ("WaitForFirstConsumer", "PendingPopulation")
"""Phases in which a volume stays until a VM is there: whoever waited for more would wait for ever."""


def why_not_ready(wanted: Resolved | None, live: LiveObject | None, around: Circumstances) -> str:
    """In a word or two what is missing; empty for what is ready, and for what is not there (a change says that)."""
    match live:
        case LiveVm() if isinstance(wanted, ResolvedVm):
            return _of_platform(wanted, live, around) if around.policy.on_cluster else _of_host(wanted, live, around)
        case LiveVolume() if wanted is not None and live.fault:
            return live.fault.partition(":")[0]
        case LiveVolume() if wanted is not None and live.phase != "Succeeded":
            waits = live.phase in _WAITS_FOR_ITS_USER or (live.phase == "Pending" and live.key.kind != "DataVolume")
            return "" if live.fills_itself and waits else live.phase
        case LiveResource() if wanted is not None and live.reported.startswith(_UNFINISHED):
            return live.reported
    return ""


def _of_host(wanted: ResolvedVm, live: LiveVm, around: Circumstances) -> str:
    if live.power is PowerState.UNKNOWN:
        return "Unknown"
    return "CrashLoopBackOff" if is_backing_off(decide_power(wanted.run_strategy, live, around.now)) else ""


def _of_platform(wanted: ResolvedVm, live: LiveVm, around: Circumstances) -> str:
    """A platform starts guests by itself, and says how far it came."""
    if live.fault:
        return live.fault.partition(":")[0]
    override = current_override(live, around.now)
    if wanted.run_strategy in _BY_HAND or (override is not None and override.action is not OverrideAction.START):
        return ""
    if live.reported in _UP:
        status = live.served.document.get("status") or {} if live.served is not None else {}
        return f"{live.reported}, not ready" if status.get("ready") is False and live.reported == "Running" else ""
    ended = live.stop_reason is StopReason.GUEST and wanted.run_strategy is not RunStrategy.ALWAYS
    return "" if ended else live.reported or "not started yet"
