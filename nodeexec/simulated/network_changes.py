"""Changes of simulated networks."""

from __future__ import annotations

from dataclasses import replace

from nodeexec.simulated.host import Mutation
from nodeexec.simulated.names import network_name
from nodeexec.simulated.state import HostNetwork, HostState
from nodeexec.simulated.steps import Executor, Steps
from reconciler.model.live import LiveNetwork
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.resolved import NetworkSpec, ResolvedNetwork


class NetworkChanges:
    """Applies one change of one network."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def put(self, change: Change, wanted: ResolvedNetwork) -> Outcome:
        """Define with its marks in one step, then start. A network that runs as something else is started anew."""
        steps = Steps.of(self._executor, change)
        name = network_name(change.key)
        old = self._executor.state.networks.get(name)
        marks = self._executor.new_marks(wanted, change.revision, old.marks if old else None)
        if old is not None and old.marks is not None and old.marks.applied == marks.applied:
            marks = replace(marks, revision=old.marks.revision)
        defined = HostNetwork(
            name=name,
            kind=change.key.kind,
            stored=wanted.network,
            running=old.running if old else None,
            marks=marks,
        )
        if defined != old:
            steps.do("define network", _define(defined))
        if defined.running is not None and defined.running != wanted.network:
            steps.do("stop network", _run(name, None))
        if self._executor.state.networks[name].running is None:
            steps.do("start network", _run(name, wanted.network))
        return steps.outcome()

    def delete(self, change: Change) -> Outcome:
        """Stop and undefine, unless a domain is plugged into it."""
        steps = Steps.of(self._executor, change)
        live = self._executor.reading().live(change.key)
        if isinstance(live, LiveNetwork) and live.used_by:
            users = ", ".join(str(key) for key in live.used_by)
            return steps.outcome(Result.RETRY, f"it is used by {users}; it goes after them", 5.0)
        network = self._executor.state.networks[network_name(change.key)]
        if network.running is not None:
            steps.do("stop network", _run(network.name, None))
        steps.do("undefine network", _remove(network.name))
        return steps.outcome()


def _define(network: HostNetwork) -> Mutation:
    def define(state: HostState) -> None:
        now = state.networks.get(network.name)
        state.networks[network.name] = replace(network, running=now.running if now is not None else None)

    return define


def _run(name: str, spec: NetworkSpec | None) -> Mutation:
    def run(state: HostState) -> None:
        state.networks[name] = replace(state.networks[name], running=spec)

    return run


def _remove(name: str) -> Mutation:
    def remove(state: HostState) -> None:
        state.networks.pop(name, None)

    return remove
