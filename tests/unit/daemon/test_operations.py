"""The verbs over the real cycle, a real repository, a real journal and the simulated engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.operations import VERBS
from reconciler.daemon.refusals import refuse_held_restart
from reconciler.daemon.wake import Wake
from reconciler.model.errors import DaemonError, JournalError, SourceError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVolume
from reconciler.model.outcome import Outcome, Result
from reconciler.model.power import StopReason
from reconciler.model.record import CycleRecord
from reconciler.wiring import READING_VERBS, InlineTurn, build_core
from tests.unit.daemon.benches import Bench, verbs_told
from tests.unit.daemon.homes import make_home, vm_text
from tests.unit.planning.plans import PVC, VM, WEB, live_of, plan


def test_reconcile_makes_it_so_and_says_what_it_did(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    view = bench.ask("reconcile")
    assert {(c["object"], c["action"], c["result"]) for c in view["applied"]} >= {
        ("VirtualMachine/default/web", "create", "applied"),
        ("PersistentVolumeClaim/default/db-root", "create", "applied"),
    }
    assert view["revision"]["commit"] == bench.home.git("rev-parse", "HEAD")
    assert view["source"]["state"] == "ready"
    assert ("reconcile", "ann") in verbs_told(bench)


def test_status_and_get(bench: Bench) -> None:
    status = bench.ask("status")
    assert status["revision"]["author"] == "Ann"
    assert status["host"]["accelerator"] == "qemu"
    assert {row["object"] for row in status["objects"]} >= {"VirtualMachine/default/db", "PodNetwork/pod"}
    rows = bench.ask("get", kind="vm")["objects"]
    assert [(row["name"], row["status"], row["state"]) for row in rows] == [
        ("db", "Running", "Ready"), ("web", "Running", "Ready"),
    ]  # fmt: skip
    assert "live" not in rows[0]
    document = bench.ask("get", kind="vmi", name="web", documents=True)["objects"][0]["live"]
    assert document["kind"] == "VirtualMachineInstance"
    assert bench.ask("get", kind="vm", namespace="other")["objects"] == []
    assert {row["kind"] for row in bench.ask("get", kind="pvc")["objects"]} == {"PersistentVolumeClaim"}


def test_plan_changes_nothing(bench: Bench) -> None:
    bench.home.commit({"web.yaml": vm_text("web", cores=2)})
    bench.core.sources[""].fetch()
    plan = bench.ask("plan")
    assert [change["object"] for change in plan["changes"]] == ["VirtualMachine/default/web"]
    assert "spec.template.spec.domain.cpu.cores" in plan["text"]
    assert bench.ask("plan")["plan_id"] == plan["plan_id"]
    assert bench.ask("plan", style="markdown")["text"].startswith("### gitvirt plan")


def test_a_disk_of_a_host_is_adopted_with_its_vm_alone(bench: Bench) -> None:
    with pytest.raises(DaemonError, match="on a host a disk is adopted together with the VM that stands on it"):
        bench.ask("adopt", kind="pvc", domain="web-root")


def test_stop_holds_against_the_run_strategy_until_resume(bench: Bench) -> None:
    view = bench.ask("stop", name="web")
    assert view["object"]["object"] == "VirtualMachine/default/web"
    bench.settle(lambda: bench.state("web") == "Stopped")
    bench.ask("reconcile")
    assert bench.state("web") == "Stopped"
    assert bench.state("db") == "Running"
    bench.ask("resume", name="web")
    bench.settle(lambda: bench.state("web") == "Running")
    assert {("stop", "ann"), ("resume", "ann")} <= set(verbs_told(bench))


def test_suspend_keeps_the_override_and_the_other_way_round(bench: Bench) -> None:
    bench.ask("pause", name="web")
    bench.ask("suspend", name="web", reason="looking at it", for_s=3600)
    marks = bench.core.engine.observe(None).objects[bench.operations._cycle.status()[-1].key].marks
    assert marks is not None
    assert marks.override is not None
    assert marks.suspended == "by ann: looking at it"
    assert marks.suspended_until is not None
    bench.ask("resume", name="web")
    marks = bench.core.engine.observe(None).objects[bench.operations._cycle.status()[-1].key].marks
    assert marks is not None
    assert (marks.override, marks.suspended, marks.suspended_until) == (None, "", None)


def test_suspending_everything_halts_and_resume_goes_on(bench: Bench) -> None:
    bench.ask("suspend", all=True, reason="maintenance")
    bench.home.commit({"new.yaml": vm_text("new")})
    view = bench.ask("reconcile")
    assert view["applied"] == []
    assert "maintenance" in bench.ask("status")["suspended"]
    again = build_core(bench.home.settings)
    elsewhere = again.operations(InlineTurn(again.cycle), bench.home.settings)
    elsewhere.apply_suspension()
    assert "by ann" in again.cycle.suspended
    view = bench.ask("resume", all=True)
    assert "VirtualMachine/default/new" in {change["object"] for change in view["applied"]}


def test_restart_restarts(bench: Bench) -> None:
    view = bench.ask("restart", name="web")
    assert [(c["object"], c["action"]) for c in view["applied"]] == [("VirtualMachine/default/web", "restart")]
    bench.settle(lambda: bench.state("web") == "Running")


def test_release_lets_go(bench: Bench) -> None:
    bench.ask("release", name="web")
    with pytest.raises(DaemonError, match="not owned"):
        bench.ask("stop", name="web")
    assert bench.core.engine.observe(None).foreign_vms == ("default_web",)


def test_a_deleted_claim_can_be_listed_and_destroyed(bench: Bench) -> None:
    bench.home.commit({"db.yaml": None})
    bench.ask("reconcile")
    bench.settle(
        lambda: bool(bench.ask("trash-list")["items"]) and not bench.ask("get", kind="pvc", name="db-root")["objects"]
    )
    items = [row["item"] for row in bench.ask("trash-list")["items"]]
    assert any(row["object"] == "PersistentVolumeClaim/default/db-root" for row in bench.ask("trash-list")["items"])
    with pytest.raises(DaemonError, match="name the items, or say all"):
        bench.ask("trash-empty")
    with pytest.raises(DaemonError, match="there is no trash item nope"):
        bench.ask("trash-empty", items=[items[0], "nope"])
    assert [row["item"] for row in bench.ask("trash-list")["items"]] == items
    assert sorted(bench.ask("trash-empty", items=items)["emptied"]) == sorted(items)
    assert bench.ask("trash-list")["items"] == []


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("format-disk", {}, "there is no verb"),
        ("stop", {}, "name is missing"),
        ("stop", {"name": "../x"}, "must be a Kubernetes name"),
        ("stop", {"name": "nope"}, "there is no VM default/nope"),
        ("stop", {"name": "web", "for_s": -1}, "must be seconds above 0"),
        ("stop", {"name": "web", "for_s": True}, "must be seconds above 0"),
        ("stop", {"name": "web", "sudo": "x"}, "takes no argument 'sudo'"),
        ("stop", {"name": ["web"]}, "must be text"),
        ("suspend", {"name": "web", "reason": "x" * 501}, "at most 500"),
        ("get", {"kind": "pod"}, "must be one of"),
        ("approve", {"hold_id": "a b"}, "must be a name"),
        ("trash-empty", {"items": "all"}, "must be a list"),
        ("resume", {"all": "yes"}, "must be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(bench: Bench, verb: str, arguments: Mapping[str, Any], said: str) -> None:
    before = bench.core.engine.observe(None).objects
    with pytest.raises(DaemonError, match=said):
        bench.ask(verb, **arguments)
    assert bench.core.engine.observe(None).objects == before


def test_every_reading_verb_is_a_verb() -> None:
    assert set(VERBS) > READING_VERBS


def test_an_unreadable_repository_is_said_and_nothing_is_deleted(bench: Bench) -> None:
    bench.home.repository.rename(bench.home.directory / "moved")
    view = bench.ask("reconcile")
    assert view["source"]["state"] == "unreachable"
    assert view["applied"] == []
    assert bench.state("web") == "Running"


def test_before_the_first_success_a_plan_says_why_there_is_none(tmp_path: Path) -> None:
    home = make_home(tmp_path, {"web.yaml": vm_text("web")})
    core = build_core(home.settings)
    operations = core.operations(InlineTurn(core.cycle), home.settings)
    with pytest.raises(SourceError):
        operations.serve("plan", {}, "ann")


def told(bench: Bench) -> list[tuple[str, str, str, str]]:
    """What the journal tells, oldest first."""
    entries = list(bench.core.journal.entries())[::-1]
    return [(str(entry.cause), str(entry.action), entry.result, entry.author) for entry in entries]


def test_resume_ends_a_pause(bench: Bench) -> None:
    view = bench.ask("pause", name="web")["object"]
    assert view["status"] == "Paused"
    assert "pause by operator ann; `gitvirt resume default/web` ends it" in view["message"]
    view = bench.ask("resume", name="web")["object"]
    assert (view["status"], view["message"]) == ("Running", "")
    assert ("operator", "update", "applied", "ann") in told(bench)


def test_a_pause_for_a_time_ends_by_itself(bench: Bench) -> None:
    assert bench.ask("pause", name="web", for_s=60)["retry_after_s"] == pytest.approx(60, abs=5)
    assert bench.state("web") == "Paused"
    clock = bench.host.clock
    bench.core.cycle._clock = bench.core.cycle._lookout._clock = clock
    clock.advance(61.0)
    bench.core.cycle.run(Wake())
    assert bench.state("web") == "Running"


def test_what_an_operator_did_is_shown_as_long_as_it_holds(bench: Bench) -> None:
    bench.ask("suspend", name="web", reason="looking at it", for_s=3600)
    row = bench.ask("get", kind="vm", name="web")["objects"][0]
    assert row["state"] == "Ready"
    assert row["message"].startswith("suspended by ann: looking at it until 2")


def test_a_stop_that_is_halted_half_way_is_not_told_as_done(bench: Bench) -> None:
    bench.ask("stop", name="web")
    assert bench.state("web") == "Stopping"
    view = bench.ask("suspend", all=True, reason="maintenance")
    assert [change["result"] for change in view["applied"]] == []
    assert bench.state("web") == "Stopping"
    assert ("operator", "update", "applied", "ann") not in told(bench)


def test_the_end_of_a_halt_of_everything_is_seen_without_being_told(bench: Bench) -> None:
    bench.ask("suspend", all=True, for_s=1)
    bench.home.commit({"new.yaml": vm_text("new")})
    bench.ask("reconcile")
    bench.core.suspension.clear()
    bench.operations.apply_suspension()
    report = bench.core.cycle.run(Wake())
    assert "VirtualMachine/default/new" in {str(done.change.key) for done in report.record.applied}


def test_a_problem_is_journaled_once_however_many_idle_cycles_come_between(bench: Bench) -> None:
    bench.home.commit({"bad.yaml": vm_text("bad", run_strategy="Sometimes")})
    for _ in range(3):
        bench.ask("reconcile")
        bench.core.cycle.run(Wake(fetch=True))
    assert [action for _, action, _, _ in told(bench)].count("problem") == 1


def test_a_journal_that_cannot_be_written_is_said_until_it_can(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(record: CycleRecord) -> str:
        raise JournalError("the journal cannot be written: no space")

    with monkeypatch.context() as patch:
        patch.setattr(bench.core.journal, "write", refuse)
        bench.ask("stop", name="web")
        bench.core.cycle.run(Wake(fetch=True))
        assert any("no space" in message for message in bench.ask("status")["messages"])
    bench.ask("start", name="db")
    assert bench.core.cycle.journal_fault == ""


def test_a_vm_that_is_off_is_not_restarted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.home.commit({"idle.yaml": vm_text("idle", run_strategy="Halted")})
    bench.ask("reconcile")
    with pytest.raises(DaemonError, match="VM default/idle is off: there is nothing to restart"):
        bench.ask("restart", name="idle")


@pytest.mark.parametrize("suspended", [{"all": True}, {"name": "web"}], ids=("everything", "the VM"))
def test_a_restart_that_is_not_done_is_refused_and_not_kept_for_later(
    bench: Bench, suspended: Mapping[str, Any]
) -> None:
    bench.ask("suspend", **suspended)
    with pytest.raises(
        DaemonError, match=r"default/web was not restarted, and will not be by itself: .*suspended by ann"
    ):
        bench.ask("restart", name="web")
    boots = bench.host.state.domains["default_web"].boots
    bench.ask("resume", **suspended)
    assert bench.host.state.domains["default_web"].boots == boots


def test_a_restart_whose_next_boot_waits_for_a_disk_is_refused() -> None:
    live = live_of(WEB)
    web, root = (ObjectKey(kind, "default", name) for kind, name in ((VM, "web"), (PVC, "web-root")))
    volume = live[root]
    assert isinstance(volume, LiveVolume)
    live[root] = replace(volume, phase="ImportInProgress", progress=0.4)
    waiting = plan(WEB, live, restarts=frozenset({web}))
    assert waiting.changes == ()
    with pytest.raises(
        DaemonError, match=r"default/web was not restarted, .*waits for PersistentVolumeClaim/default/web-root"
    ):
        refuse_held_restart(web, (), waiting)
    refuse_held_restart(web, (), plan(WEB, live_of(WEB)))


def test_one_that_is_declared_and_was_never_made_is_told_why(bench: Bench) -> None:
    bench.home.commit({"new.yaml": vm_text("new").replace("runStrategy", "runStrategie")})
    bench.ask("reconcile")
    with pytest.raises(DaemonError, match=r"VM default/new is declared and not on this host \(yet\): .*runStrategie"):
        bench.ask("stop", name="new")


def test_what_fails_again_for_the_same_reason_is_told_to_whoever_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A back-off spaces what gitvirt does by itself, not what a person wants now."""
    failed = Outcome(result=Result.FAILED, reason="no room for it")
    monkeypatch.setattr(bench.core.engine, "apply", lambda _: failed)
    bench.home.commit({"web.yaml": vm_text("web", cores=2)})
    for verb, arguments in (
        ("reconcile", {}),
        ("reconcile", {}),
        ("restart", {"name": "web"}),
        ("stop", {"name": "web"}),
    ):
        applied = bench.ask(verb, **arguments)["applied"]
        assert [(one["object"], one["result"], one["reason"]) for one in applied] == [
            ("VirtualMachine/default/web", "failed", "no room for it")
        ], verb


def test_a_name_that_is_nearly_right_is_recognized(bench: Bench) -> None:
    with pytest.raises(DaemonError, match=r"there is no VM prod/web; did you mean default/web\?"):
        bench.ask("stop", namespace="prod", name="web")
    with pytest.raises(DaemonError, match="`gitvirt get vm` lists them"):
        bench.ask("stop", name="mailserver")


def test_durations_are_journaled_as_people_write_them(bench: Bench) -> None:
    bench.ask("suspend", name="web", for_s=5400, reason="disk")
    assert [entry.reason for entry in bench.core.journal.entries() if entry.action == "suspend"] == [
        "for=1h30m, reason=disk"
    ]


def test_what_git_does_not_want_is_not_taken_from_the_trash(bench: Bench) -> None:
    bench.home.commit({"db.yaml": None})
    bench.ask("reconcile")
    bench.settle(lambda: any("db-root" in row["object"] for row in bench.ask("trash-list")["items"]))
    (item,) = [row["item"] for row in bench.ask("trash-list")["items"] if "db-root" in row["object"]]
    with pytest.raises(DaemonError, match="is not in the repository, so it would go back to the trash at once"):
        bench.ask("trash-restore", item=item)
    bench.ask("suspend", all=True)
    assert bench.ask("trash-restore", item=item)["object"]["object"] == "PersistentVolumeClaim/default/db-root"
    assert bench.ask("get", kind="pvc", name="db-root")["objects"]


def test_what_a_question_comes_upon_wakes_the_cycle(bench: Bench) -> None:
    told: list[Wake] = []

    class TellingTurn(InlineTurn):
        def tell(self, wake: Wake) -> None:
            told.append(wake)

    bench.operations = bench.core.operations(TellingTurn(bench.core.cycle), bench.home.settings)
    bench.settle(lambda: bench.state("web") == "Running")
    del told[:]
    bench.ask("status")
    assert told == []
    web = ObjectKey("VirtualMachine", "default", "web")
    bench.host.end_guest(web, StopReason.DESTROYED)
    bench.ask("get", kind="vm")
    assert [wake.keys for wake in told] == [frozenset({web})]


def test_a_disk_can_be_released_too(bench: Bench) -> None:
    root = ObjectKey("PersistentVolumeClaim", "default", "db-root")
    bench.ask("release", kind="pvc", name="db-root")
    live = bench.core.engine.observe({root}).objects[root]
    assert live.marks is None
    assert ("release", "ann") in verbs_told(bench)


def test_a_trash_that_cannot_be_read_is_not_said_to_be_empty(bench: Bench) -> None:
    """Law 2."""
    assert bench.ask("trash-list") == {"items": [], "messages": []}
    bench.host.set_unreadable("pool:default", "it is not mounted")
    assert bench.ask("trash-list") == {
        "items": [],
        "messages": ["not all of the trash can be seen: pool default cannot be read"],
    }
    with pytest.raises(
        DaemonError, match=r"there is no trash item x; .* not all of the trash can be seen: pool default"
    ):
        bench.ask("trash-empty", items=["x"])
