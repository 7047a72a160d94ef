"""Approving what waits, and applying the plan that was read: over the real cycle, and the simulated engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import DaemonError, StalePlanError
from reconciler.model.power import StopReason
from tests.unit.daemon.benches import Bench, verbs_told
from tests.unit.daemon.homes import vm_text


def test_approve_wants_a_hold_that_is_there(bench: Bench) -> None:
    with pytest.raises(DaemonError, match=r"no changes wait under 123abc, .*waiting for approval now: nothing"):
        bench.ask("approve", hold_id="123abc")


def test_approve_releases_a_large_deletion(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    names = [f"vm{number}" for number in range(6)]
    bench.home.commit({f"{name}.yaml": vm_text(name) for name in names})
    bench.ask("reconcile")
    bench.home.commit({f"{name}.yaml": None for name in names})
    held = bench.ask("reconcile")["plan"]["held"]
    assert held
    assert bench.state("vm0") == "Running"
    for hold in held:
        bench.ask("approve", hold_id=hold["hold_id"])
    bench.settle(lambda: [row["name"] for row in bench.ask("get", kind="vm")["objects"]] == ["db", "web"])


def test_an_approval_counts_once_and_only_for_what_was_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    names = [f"vm{number}" for number in range(6)]
    bench.home.commit({f"{name}.yaml": vm_text(name) for name in names})
    bench.ask("reconcile")
    bench.home.commit({f"{name}.yaml": None for name in names[:5]})
    read = next(hold for hold in bench.ask("reconcile")["plan"]["held"] if "deletion of VMs" in hold["reason"])
    bench.home.commit({f"{names[5]}.yaml": None})
    bench.core.sources[""].fetch()
    with pytest.raises(
        DaemonError, match=r"is stale: the 5 changes .* waiting for approval now: \w+ \(blast-radius, 6 ch"
    ):
        bench.ask("approve", hold_id=read["hold_id"])
    assert bench.state("vm0") == "Running"
    now = next(hold for hold in bench.ask("reconcile")["plan"]["held"] if "deletion of VMs" in hold["reason"])
    bench.ask("approve", hold_id=now["hold_id"])
    bench.settle(lambda: [row["name"] for row in bench.ask("get", kind="vm")["objects"]] == ["db", "web"])
    with pytest.raises(DaemonError, match="was let go already, and an approval counts once"):
        bench.ask("approve", hold_id=now["hold_id"])


def test_a_trailer_in_a_commit_approves_what_the_plan_before_it_showed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    names = [f"vm{number}" for number in range(6)]
    bench.home.commit({f"{name}.yaml": vm_text(name) for name in names})
    bench.ask("reconcile")
    bench.home.commit({f"{name}.yaml": None for name in names})
    held = bench.ask("reconcile")["plan"]["held"]
    trailers = "".join(f"Gitvirt-Approve: {hold['hold_id']}\n" for hold in held)
    bench.home.commit({"README": "decommissioned"}, f"Yes, all six\n\n{trailers}")
    bench.ask("reconcile")
    bench.settle(lambda: [row["name"] for row in bench.ask("get", kind="vm")["objects"]] == ["db", "web"])


def test_a_plan_that_was_read_is_carried_out_and_a_stale_one_is_not(bench: Bench) -> None:
    bench.home.commit({"web.yaml": vm_text("web", cores=2)})
    bench.core.sources[""].fetch()
    read = bench.ask("plan")["plan_id"]
    bench.home.commit({"web.yaml": vm_text("web", cores=4)})
    bench.core.sources[""].fetch()
    with pytest.raises(StalePlanError, match=f"plan {read} is stale: .* Nothing was done"):
        bench.ask("apply", plan_id=read)
    assert "apply" not in dict(verbs_told(bench))
    now = bench.ask("plan")["plan_id"]
    assert [c["object"] for c in bench.ask("apply", plan_id=now)["applied"]] == ["VirtualMachine/default/web"]
    with pytest.raises(StalePlanError, match="0 changes"):
        bench.ask("apply", plan_id=now)
    web = next(key for key in bench.core.engine.observe(None).objects if key.name == "web")
    nothing = bench.ask("plan")["plan_id"]
    bench.host.end_guest(web, StopReason.DESTROYED)
    with pytest.raises(StalePlanError, match="1 changes"):
        bench.ask("apply", plan_id=nothing)
