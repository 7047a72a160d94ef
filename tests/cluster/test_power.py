"""Power beside KubeVirt's run strategies: an operator's act at gitvirt, one by `virtctl`, and what is left when either is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import INSTANCE, VM
from nodeexec.kubevirt.marks import OVERRIDE
from nodeexec.kubevirt.power import strategy_of
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.daemon.clock import SystemClock
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Result
from reconciler.model.plan import Action
from reconciler.model.power import Override, OverrideAction, PowerState, PowerStep
from reconciler.model.resolved import ResolvedVm
from tests.cluster.front import Front
from tests.cluster.hands import wait_until
from tests.cluster.site import ClusterSite
from tests.cluster.virt_api import VirtApi
from tests.contract.builders import create, update

AGO = timedelta(minutes=5)


class Powered:
    """A site behind a front that carries KubeVirt's actions out."""

    def __init__(self, site: ClusterSite, directory: Path) -> None:
        self.site = site
        self.api = VirtApi(site.hands)
        self.front = Front(site.kubeconfig, self.api)
        site.engine.close()
        self._settings = {
            "kubeconfig": str(self.front.kubeconfig(directory / "front.kubeconfig")),
            "namespaces": (site.namespace,),
        }
        self.use()

    def use(self, **settings: Any) -> None:
        """An engine with these settings."""
        self.site.engine.close()
        made: Any = {**self._settings, **settings}
        self.site.engine = KubevirtEngine(KubevirtSettings(**made), self.site.policy, SystemClock())
        self.site.engine.observe(None)

    def made(self, strategy: str) -> ResolvedVm:
        """A VM of a strategy, as its controller left it."""
        vm = self.site.vm("web", run_strategy=strategy)
        assert self.site.engine.apply(create(vm)).result is Result.APPLIED
        self.api.follow(self.site.namespace, "web")
        self.is_on(vm, strategy in ("Always", "Once"))
        return vm

    def live(self, vm: ResolvedVm) -> LiveVm:
        """The VM as it is seen."""
        found = self.site.caught_up(vm.key)
        assert isinstance(found, LiveVm)
        return found

    def is_on(self, vm: ResolvedVm, on: bool) -> None:
        """Wait until it is seen that its guest runs, or does not, and by which strategy."""
        wanted = PowerState.RUNNING if on else PowerState.OFF
        strategy = self.strategy()

        def is_seen() -> bool:
            live = self.live(vm)
            return live.power is wanted and strategy_of(live) == strategy

        wait_until(is_seen, f"the guest is {wanted} by {strategy}")

    def strategy(self) -> str:
        """What the server has."""
        found = self.site.hands.get(VM, self.site.namespace, "web")
        assert found is not None
        return str(found["spec"]["runStrategy"])

    def act(self, vm: ResolvedVm, action: OverrideAction, step: PowerStep) -> None:
        """`gitvirt stop` or `gitvirt start`."""
        said = Override(action=action, by="ann", at=datetime.now(UTC))
        self.site.engine.mark(vm.key, override=said, suspended="", suspended_until=None)
        outcome = self.site.engine.apply(update(vm, self.live(vm), power=step))
        assert outcome.result in (Result.APPLIED, Result.PROGRESSING), outcome

    def end(self, vm: ResolvedVm, action: OverrideAction = OverrideAction.STOP) -> None:
        """The act's time is over."""
        now = datetime.now(UTC)
        said = Override(action=action, by="ann", at=now - 2 * AGO, until=now - AGO)
        self.site.engine.mark(vm.key, override=said, suspended="", suspended_until=None)


@pytest.fixture
def powered(site: ClusterSite, tmp_path: Path) -> Iterator[Powered]:
    """See `Powered`."""
    made = Powered(site, tmp_path)
    yield made
    site.engine.close()
    made.front.close()


@pytest.mark.parametrize(("declared", "action", "step", "on", "written"), [
    ("Always", OverrideAction.STOP, PowerStep.STOP, False, "Halted"),
    ("Once", OverrideAction.STOP, PowerStep.STOP, False, "Halted"),
    ("Halted", OverrideAction.START, PowerStep.START, True, "Always"),
    ("Manual", OverrideAction.START, PowerStep.START, True, "Manual"),
])  # fmt: skip
def test_an_operator_s_act_is_kept_and_undone_when_it_is_over(
    powered: Powered, declared: str, action: OverrideAction, step: PowerStep, on: bool, written: str
) -> None:
    vm = powered.made(declared)
    powered.act(vm, action, step)
    powered.is_on(vm, on)
    assert powered.strategy() == written
    assert powered.site.engine.compare(vm, powered.live(vm)) == ()
    bigger = powered.site.vm("web", run_strategy=declared, memory="96Mi")
    assert powered.site.engine.apply(update(bigger, powered.live(vm))).result is Result.APPLIED
    assert powered.strategy() == written
    powered.end(vm)
    outcome = powered.site.engine.apply(update(bigger, powered.live(vm)))
    assert outcome.result in (Result.APPLIED, Result.UNCHANGED), outcome
    assert powered.strategy() == declared
    live = powered.live(vm)
    assert live.marks is not None
    assert live.marks.override is None
    assert powered.site.engine.compare(bigger, live) == ()
    powered.site.hands.patch(VM, powered.site.namespace, "web", {"spec": {"runStrategy": "RerunOnFailure"}})
    found = wait_until(lambda: powered.site.engine.compare(bigger, powered.live(vm)), "somebody's act is seen")
    assert "virtctl" in found[0].refused


@pytest.mark.parametrize(("declared", "action", "on"), [
    ("Always", OverrideAction.START, True), ("Manual", OverrideAction.STOP, False), ("Always", OverrideAction.PAUSE, True),
])  # fmt: skip
def test_an_act_that_left_nothing_to_undo_is_taken_off_when_it_is_over_and_is_nobody_s_excuse(
    powered: Powered, declared: str, action: OverrideAction, on: bool
) -> None:
    vm = powered.made(declared)
    powered.end(vm, action)
    (over,) = powered.site.engine.compare(vm, powered.live(vm))
    assert (over.path, over.reason) == (f"metadata.annotations[{OVERRIDE}]", f"the {action} by operator ann is over")
    outcome = powered.site.engine.apply(update(vm, powered.live(vm)))
    assert (outcome.result, outcome.steps) == (Result.APPLIED, ("took the operator's act off, which is over",))
    assert powered.site.engine.compare(vm, powered.live(vm)) == ()
    powered.api("stop" if on else "start", powered.site.namespace, "web")
    powered.is_on(vm, not on)
    found = powered.site.engine.compare(vm, powered.live(vm))
    assert all("virtctl" in one.refused for one in found)
    assert bool(found) is (declared == "Always"), "a Manual VM's power is whoever's"


def test_a_guest_that_is_still_paused_keeps_its_act_until_it_goes_on(powered: Powered) -> None:
    vm = powered.made("Always")
    powered.act(vm, OverrideAction.PAUSE, PowerStep.PAUSE)
    wait_until(lambda: powered.live(vm).power is PowerState.PAUSED, "it stands still")
    powered.end(vm, OverrideAction.PAUSE)
    assert powered.site.engine.compare(vm, powered.live(vm)) == ()
    assert powered.site.engine.apply(update(vm, powered.live(vm), power=PowerStep.UNPAUSE)).result is Result.APPLIED
    wait_until(lambda: powered.live(vm).power is PowerState.RUNNING, "it goes on")
    assert [one.path for one in powered.site.engine.compare(vm, powered.live(vm))] == [
        f"metadata.annotations[{OVERRIDE}]"
    ]


def test_a_stop_by_virtctl_is_kept_or_put_right_as_the_settings_say(powered: Powered) -> None:
    vm = powered.made("Always")
    powered.api("stop", powered.site.namespace, "web")
    powered.is_on(vm, False)
    (found,) = powered.site.engine.compare(vm, powered.live(vm))
    assert "virtctl" in found.refused
    assert powered.site.engine.apply(update(vm, powered.live(vm))).result is Result.UNCHANGED
    powered.use(correct_power=True)
    assert powered.site.engine.apply(update(vm, powered.live(vm))).result is Result.APPLIED
    assert powered.strategy() == "Always"
    halted = powered.site.vm("web", run_strategy="Halted")
    assert powered.site.engine.apply(update(halted, powered.live(vm))).result is Result.APPLIED
    assert powered.strategy() == "Halted"
    assert powered.front.acted == []


def test_a_commit_that_changes_the_strategy_outranks_whoever_wrote_it(powered: Powered) -> None:
    vm = powered.made("Always")
    powered.api("stop", powered.site.namespace, "web")
    powered.is_on(vm, False)
    manual = powered.site.vm("web", run_strategy="Manual")
    assert powered.site.engine.apply(update(manual, powered.live(vm))).result is Result.APPLIED
    assert powered.strategy() == "Manual"


@pytest.mark.parametrize(("declared", "step", "result"), [
    ("Always", PowerStep.START, Result.PROGRESSING),
    ("Once", PowerStep.START, Result.REFUSED),
    ("RerunOnFailure", PowerStep.START, Result.APPLIED),
])  # fmt: skip
def test_what_kubevirt_refuses_to_start_is_not_asked_of_it(
    powered: Powered, declared: str, step: PowerStep, result: Result
) -> None:
    vm = powered.site.vm("web", run_strategy=declared)
    powered.site.engine.apply(create(vm))
    outcome = powered.site.engine.apply(update(vm, powered.live(vm), power=step))
    assert outcome.result is result
    assert powered.front.acted == ([("start", powered.site.namespace, "web")] if result is Result.APPLIED else [])


@pytest.mark.parametrize(("declared", "result"), [
    ("Always", Result.APPLIED), ("Manual", Result.APPLIED), ("Once", Result.REFUSED), ("Halted", Result.REFUSED),
])  # fmt: skip
def test_a_restart_goes_through_kubevirt_where_it_has_one(powered: Powered, declared: str, result: Result) -> None:
    vm = powered.made(declared)
    if declared in ("Manual", "Halted"):
        powered.site.hands.run_instance(powered.site.namespace, "web")
    powered.is_on(vm, True)
    before = powered.site.hands.get(INSTANCE, powered.site.namespace, "web")
    outcome = powered.site.engine.apply(update(vm, powered.live(vm), power=PowerStep.RESTART, action=Action.RESTART))
    assert outcome.result is result, outcome
    after = powered.site.hands.get(INSTANCE, powered.site.namespace, "web")
    assert before is not None
    assert after is not None
    assert (after["metadata"]["uid"] != before["metadata"]["uid"]) is (result is Result.APPLIED)
    assert (powered.live(vm).history.last_restart_at is not None) is (result is Result.APPLIED)


def test_a_guest_that_kubevirt_is_stopping_already_is_waited_for(powered: Powered) -> None:
    vm = powered.made("Halted")
    powered.site.hands.run_instance(powered.site.namespace, "web")
    powered.is_on(vm, True)
    outcome = powered.site.engine.apply(update(vm, powered.live(vm), power=PowerStep.STOP))
    assert outcome.result is Result.PROGRESSING
    assert powered.front.acted == []
