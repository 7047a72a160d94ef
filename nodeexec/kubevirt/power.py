"""A guest's power through KubeVirt's own actions, which know its run strategies. Nothing waits.

What KubeVirt's API refuses for a run strategy is not asked of it: a start of Always and Once, a stop of Halted, a restart of Halted and Once.

*Source*: KubeVirt's API reference, subresources of virtualmachines and virtualmachineinstances, and its API server's handlers of them.
"""

from __future__ import annotations

from nodeexec.kubevirt.kinds import KINDS, VM
from nodeexec.kubevirt.marks import RESTARTED, STOPPING, annotations_of, metadata_of, stopping, time_text
from nodeexec.kubevirt.steps import Steps, Tools
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Outcome, Result
from reconciler.model.power import PowerState, PowerStep, RunStrategy

POLL_S = 2.0
STARTS_BY_ITSELF_POLL_S = 30.0
_STAYS_OFF = (RunStrategy.HALTED, RunStrategy.MANUAL, RunStrategy.RERUN_ON_FAILURE)
_OFF = (PowerState.OFF, PowerState.CRASHED)


def _is_asked(live: LiveVm, purpose: str) -> bool:
    """Whether this run of the guest was asked to stop already; `marks.read_history` gives no mark of a run before."""
    return live.history.stop_asked_by == purpose and live.history.stop_requested_at is not None


def strategy_of(live: LiveVm) -> str:
    """The run strategy that KubeVirt goes by, which an operator's act may have changed; empty for one that says nothing."""
    spec = (live.served.document.get("spec") or {}) if live.served else {}
    if "running" in spec:
        return RunStrategy.ALWAYS if spec["running"] else RunStrategy.HALTED
    return str(spec.get("runStrategy", ""))


class Power:
    """Carries out one power step."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def carry_out(self, live: LiveVm, step: PowerStep, steps: Steps) -> Outcome:
        """Ask KubeVirt for it; a stop goes on until the instance is gone.

        Raises:
            ApiError, UnreachableError: see `ApiClient.call`.
        """
        match step:
            case PowerStep.START:
                return self._start(live, steps)
            case PowerStep.STOP:
                return self.stop(live, steps, purpose="stop")
            case PowerStep.RESTART:
                return self._restart(live, steps)
            case PowerStep.PAUSE:
                if live.power is PowerState.RUNNING:
                    self._act("pause", live.key, steps, instance=True)
            case PowerStep.UNPAUSE:
                if live.power is PowerState.PAUSED:
                    self._act("unpause", live.key, steps, instance=True)
        return steps.outcome()

    def stop(self, live: LiveVm, steps: Steps, *, purpose: str) -> Outcome:
        """A graceful stop; KubeVirt forces it after the VM's own grace period."""
        if live.running is None and self._stays_off(live, purpose):
            if purpose != "delete" and live.served is not None and STOPPING in annotations_of(live.served.document):
                self._mark(live.key, {STOPPING: None})
            return steps.outcome()
        if not _is_asked(live, purpose):
            if strategy_of(live) != RunStrategy.HALTED:
                self._act("stop", live.key, steps)
            instance = live.served.instance if live.served is not None else None
            of = str(metadata_of(instance or {}).get("uid", ""))
            self._mark(live.key, {STOPPING: stopping(self._tools.clock.now(), purpose, of)})
        return steps.outcome(Result.PROGRESSING, "the guest is stopping", POLL_S)

    def _start(self, live: LiveVm, steps: Steps) -> Outcome:
        if live.power not in _OFF:
            return steps.outcome()
        match strategy_of(live):
            case RunStrategy.ALWAYS:
                said = "KubeVirt starts it by itself (runStrategy Always)"
                return steps.outcome(Result.PROGRESSING, said, STARTS_BY_ITSELF_POLL_S)
            case RunStrategy.ONCE:
                return steps.outcome(
                    Result.REFUSED, "a VM that runs Once is started once by KubeVirt; declare Always or Manual"
                )
        self._act("start", live.key, steps)
        return steps.outcome()

    def _restart(self, live: LiveVm, steps: Steps) -> Outcome:
        if live.running is None:
            return self._start(live, steps)
        strategy = strategy_of(live)
        if strategy in (RunStrategy.HALTED, RunStrategy.ONCE):
            said = f"KubeVirt restarts no VM whose run strategy is {strategy}; what waits takes effect when it is started again"
            return steps.outcome(Result.REFUSED, said)
        self._act("restart", live.key, steps)
        self._mark(live.key, {RESTARTED: time_text(self._tools.clock.now())})
        return steps.outcome()

    @staticmethod
    def _stays_off(live: LiveVm, purpose: str) -> bool:
        """Whether KubeVirt will not start it by itself; one that is to be deleted was never started where there is no instance."""
        return purpose == "delete" or strategy_of(live) in _STAYS_OFF

    def _act(self, name: str, key: ObjectKey, steps: Steps, *, instance: bool = False) -> None:
        self._tools.access.subresource(name, key, instance=instance)
        steps.note(f"asked KubeVirt for {name}")

    def _mark(self, key: ObjectKey, annotations: dict[str, str | None]) -> None:
        self._tools.access.patch(KINDS[VM], key, {"metadata": {"annotations": annotations}})
