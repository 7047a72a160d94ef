"""Approving what waits, and applying the plan that was read: over the real cycle, and the simulated engine."""

from __future__ import annotations

import pytest

from reconciler.model.errors import DaemonError, StalePlanError
from reconciler.model.power import StopReason
from tests.unit.daemon.benches import Bench, verbs_told
from tests.unit.daemon.homes import vm_text

SIX = tuple(f"vm{number}" for number in range(6))


@pytest.fixture
def crowded(bench: Bench) -> Bench:
    """Six VMs beside those that every bench has."""
    bench.home.commit({f"{name}.yaml": vm_text(name) for name in SIX})
    bench.ask("reconcile")
    return bench


def test_approve_wants_a_hold_that_is_there(bench: Bench) -> None:
    with pytest.raises(DaemonError, match=r"no changes wait under 123abc, .*waiting for approval now: nothing"):
        bench.ask("approve", hold_id="123abc")


def test_approve_releases_a_large_deletion(crowded: Bench) -> None:
    crowded.home.commit({f"{name}.yaml": None for name in SIX})
    held = crowded.ask("reconcile")["plan"]["held"]
    assert held
    assert crowded.state("vm0") == "Running"
    for hold in held:
        crowded.ask("approve", hold_id=hold["hold_id"])
    crowded.settle(lambda: [row["name"] for row in crowded.ask("get", kind="vm")["objects"]] == ["db", "web"])


def test_an_approval_counts_once_and_only_for_what_was_read(crowded: Bench) -> None:
    crowded.home.commit({f"{name}.yaml": None for name in SIX[:5]})
    read = next(hold for hold in crowded.ask("reconcile")["plan"]["held"] if "deletion of VMs" in hold["reason"])
    crowded.home.commit({f"{SIX[5]}.yaml": None})
    crowded.core.sources[""].fetch()
    with pytest.raises(
        DaemonError, match=r"is stale: the 5 changes .* waiting for approval now: \w+ \(blast-radius, 6 ch"
    ):
        crowded.ask("approve", hold_id=read["hold_id"])
    assert crowded.state("vm0") == "Running"
    now = next(hold for hold in crowded.ask("reconcile")["plan"]["held"] if "deletion of VMs" in hold["reason"])
    crowded.ask("approve", hold_id=now["hold_id"])
    crowded.settle(lambda: [row["name"] for row in crowded.ask("get", kind="vm")["objects"]] == ["db", "web"])
    with pytest.raises(DaemonError, match="was let go already, and an approval counts once"):
        crowded.ask("approve", hold_id=now["hold_id"])


def test_a_trailer_in_a_commit_approves_what_the_plan_before_it_showed(crowded: Bench) -> None:
    crowded.home.commit({f"{name}.yaml": None for name in SIX})
    held = crowded.ask("reconcile")["plan"]["held"]
    trailers = "".join(f"Gitvirt-Approve: {hold['hold_id']}\n" for hold in held)
    crowded.home.commit({"README": "decommissioned"}, f"Yes, all six\n\n{trailers}")
    crowded.ask("reconcile")
    crowded.settle(lambda: [row["name"] for row in crowded.ask("get", kind="vm")["objects"]] == ["db", "web"])


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
