"""Commands through the real entry point: what they print, where, and their exit codes."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from reconciler.cli.output import on_terminal
from tests.unit.cli.commands import process, run
from tests.unit.daemon.homes import Home, vm_text
from tests.unit.daemon.parts import PATIENCE_S

pytestmark = pytest.mark.usefixtures("logging_as_before")


def test_schemas_are_printed_and_found() -> None:
    code, out, _ = run("schema")
    assert (code, json.loads(out)["$id"]) == (0, "https://gitvirt.io/schemas/all.json")
    assert json.loads(run("schema", "VirtualMachine")[1])["properties"]["kind"] == {"const": "VirtualMachine"}
    code, out, _ = run("schema", "settings", "--path")
    assert json.loads(Path(out.strip()).read_text())["$id"].endswith("settings.json")
    code, _, err = run("schema", "../pyproject")
    assert code == 2 and "virtualmachine" in err


def test_what_cannot_be_read_is_one_message_and_its_exit_code(home: Home) -> None:
    code, out, err = run("validate", "/nowhere", home=home)
    assert (code, out) == (12, "")
    assert err.startswith("gitvirt: /nowhere does not exist")
    assert len(err.splitlines()) == 1


def test_plan_between_revisions(home: Home) -> None:
    home.commit({"web.yaml": vm_text("web", cores=2), "db.yaml": vm_text("db")})
    base, head = f"{home.repository}@HEAD~1", f"{home.repository}@HEAD"
    code, out, _ = run("plan", "--base", base, "--head", head, "-o", "json", home=home)
    assert code == 0
    plan = json.loads(out)
    assert {"plan_id", "changes", "held", "blocked"} <= set(plan)
    changes = {change["object"]: change for change in plan["changes"]}
    assert set(changes) == {
        "PersistentVolumeClaim/default/db-root", "VirtualMachine/default/db", "VirtualMachine/default/web",
    }  # fmt: skip
    web = changes["VirtualMachine/default/web"]
    assert web["action"] == "update"
    (difference,) = web["differences"]
    assert set(difference) == {"path", "from", "to", "impact", "reason"}
    assert difference["path"] == "spec.template.spec.domain.cpu.cores"
    assert (difference["from"], difference["to"]) == (1, 2)
    again = json.loads(run("plan", "--base", base, "--head", head, "-o", "json", home=home)[1])
    assert again == plan
    assert run("plan", "--base", base, "--head", head, "-o", "markdown", home=home)[1].startswith("### gitvirt plan")
    assert "\x1b" not in run("plan", "--base", base, "--head", head, home=home)[1]


def test_settings_that_may_not_be_read_are_no_wrong_usage(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Nothing is kept from root, as which these tests may run.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(Path, "open", refuse)
    code, _, said = run("settings", home=home)
    assert (code, "Permission denied" in said) == (11, True), said


@pytest.mark.parametrize("option", ["--detailed-exitcode", "-detailed-exitcode"])
def test_plan_exit_codes(home: Home, option: str) -> None:
    repository = str(home.repository)
    assert run("plan", "--base", repository, "--head", repository, option, home=home)[0] == 0
    assert run("plan", "--head", repository, option, home=home)[0] == 2
    assert run("plan", "--head", repository, home=home)[0] == 0
    assert run("plan", "--head", "/nowhere", option, home=home)[0] == 1
    assert run("plan", "--head", "/nowhere", home=home)[0] == 12
    (home.repository / "bad.yaml").write_text("kind: [\n")
    assert run("plan", "--head", repository, option, home=home)[0] == 1


def test_diff_exit_codes(home: Home) -> None:
    repository = str(home.repository)
    assert run("diff", "--base", repository, "--head", repository, home=home)[0] == 0
    assert run("diff", "--head", repository, home=home)[0] == 1
    assert run("diff", "--head", "/nowhere", home=home)[0] > 1
    assert run("diff", "--nonsense", home=home)[0] > 1


def test_a_secret_is_in_no_plan(home: Home) -> None:
    canary = "correct-horse-battery"
    text = vm_text("web").replace("volumes: [", f"volumes: [{{name: seed, cloudInitNoCloud: {{userData: {canary}}}}}, ")
    text = text.replace("disks: [", "disks: [{name: seed, disk: {bus: virtio}}, ")
    home.commit({"web.yaml": text})
    for command in (["plan", "--head"], ["xml"], ["validate"]):
        for output in ([], ["-o", "json"]) if command != ["xml"] else ([],):
            code, out, err = run(*command, str(home.repository), *output, home=home)
            assert code == 0, err
            assert canary not in out + err
    one = run("plan", "--base", f"{home.repository}@HEAD~1", "--head", str(home.repository), "-o", "json", home=home)[1]
    assert "digest:" in one


def test_xml_prints_each_vm(home: Home) -> None:
    code, out, _ = run("xml", str(home.repository), home=home)
    assert code == 0
    assert "web" in out
    code, _, err = run("xml", str(home.repository), "--vm", "nope", home=home)
    assert code == 1
    assert "there is no VM nope" in err


def test_apply_get_audit_and_describe_without_a_daemon(home: Home) -> None:
    code, out, _ = run("apply", home=home)
    assert code == 0
    assert "VirtualMachine/default/web" in out
    code, out, _ = run("apply", "-o", "json", home=home)
    assert json.loads(out)["plan"]["changes"] == 0
    code, out, _ = run("get", "vm", "web", "-o", "yaml", home=home)
    assert code == 0
    assert yaml.safe_load(out)["object"] == "VirtualMachine/default/web"
    assert run("get", "vm", "-o", "name", home=home)[1] == "VirtualMachine/default/web\n"
    code, _, err = run("get", "vm", "nope", home=home)
    assert code == 1
    assert "there is no vm nope" in err
    code, out, _ = run("audit", "-o", "json", "--since", "1h", home=home)
    entries = json.loads(out)["items"]
    assert {"create"} <= {entry["action"] for entry in entries}
    assert {entry["author"].split()[0] for entry in entries if entry["cause"] == "commit"} == {"Ann"}
    assert json.loads(run("audit", "-o", "json", "--since", "2099-01-01", home=home)[1])["items"] == []
    assert "Declared in Git:  yes" in run("describe", "vm", "web", home=home)[1]


def test_a_plan_is_applied_by_its_id_and_refused_when_it_is_stale(home: Home) -> None:
    plan = json.loads(run("plan", "-o", "json", home=home)[1])
    home.commit({"db.yaml": vm_text("db")})
    code, out, err = run("apply", plan["plan_id"], home=home)
    assert (code, out) == (18, "")
    assert f"plan {plan['plan_id']} is stale" in err
    plan = json.loads(run("plan", "-o", "json", home=home)[1])
    code, out, err = run("apply", plan["plan_id"], home=home)
    assert (code, err) == (0, "")
    assert "VirtualMachine/default/db" in out


def test_emptying_the_trash_wants_one_choice_and_names_that_are_there(home: Home) -> None:
    for arguments in (
        ("--all", "--older-than", "1d"),
        ("x", "--all"),
        ("--older-than", "soon"),
        ("--older-than", "0s"),
    ):
        assert run("trash", "empty", "--yes", *arguments, home=home)[0] == 2
    assert run("trash", "empty", "--all", home=home) == (0, "", "gitvirt: nothing to destroy\n")
    assert json.loads(run("trash", "empty", "--older-than", "1d", "-o", "json", home=home)[1]) == {
        "emptied": [], "failed": [],
    }  # fmt: skip
    code, _, err = run("trash", "empty", "nope", home=home, stdin="n\n")
    assert code == 1
    assert "Destroy 1 trash item(s) for good?" in err
    code, _, err = run("trash", "empty", "nope", "--yes", home=home)
    assert (code, "there is no trash item nope" in err) == (16, True)


def test_status_and_trash_without_a_daemon(home: Home) -> None:
    code, out, _ = run("status", home=home)
    assert code == 0
    assert "first (Ann)" in out
    code, out, err = run("trash", "list", home=home)
    assert (code, out, err) == (0, "", "the trash is empty\n")
    assert json.loads(run("trash", "list", "-o", "json", home=home)[1]) == {"items": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ("stop",), ("stop", "a/b", "-n", "c"), ("suspend",), ("suspend", "web", "--all"), ("stop", "web", "--for", "soon"),
        ("audit", "--since", "yesterday"), ("plan", "--base", "x"), ("trash", "empty"), ("get", "pods"), ("frobnicate",),
        ("plan", "--base", "-", "--head", "-"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_2(home: Home, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, home=home)[0] == 2


def test_settings_are_printed_without_credentials(home: Home) -> None:
    code, out, err = run("settings", "--set", "source.url=https://t0ken@host/x", home=home)
    assert (code, out) == (11, "")
    assert "source.auth" in err
    assert "t0ken" not in err
    code, out, _ = run("settings", "--set", "source.url=ssh://git@host/x", "--set", "log.level=debug", home=home)
    assert code == 0
    shown = yaml.safe_load(out)
    assert shown["source"]["url"] == "ssh://git@host/x"
    assert shown["log"]["level"] == "debug"
    assert f"# from {home.settings_file}" in out


def test_a_fault_of_the_settings(home: Home) -> None:
    code, _, err = run("settings", "--set", "sourc.url=x", home=home)
    assert code == 11
    assert err.splitlines()[1] == "  --set sourc: unknown setting sourc (did you mean source?)"


def test_doctor_lists_everything(home: Home) -> None:
    code, out, _ = run("doctor", home=home)
    assert code == 0
    assert "✓ source" in out
    assert "! acceleration" in out
    code, out, _ = run("doctor", "--set", "source.branch=gone", "-o", "json", home=home)
    assert code == 1
    failed = [check for check in json.loads(out)["checks"] if check["state"] == "failed"]
    assert [check["check"] for check in failed] == ["source"]
    assert not (home.directory / "state").exists()
    assert not (home.directory / "key").exists()


def test_offline_commands_as_a_stranger_on_a_bare_machine(tmp_path: Path) -> None:
    """Neither settings nor repository nor libvirt: importing it fails."""
    (tmp_path / "libvirt.py").write_text("raise ImportError('no libvirt here', name='libvirt')\n")
    manifests = tmp_path / "m"
    manifests.mkdir()
    (manifests / "web.yaml").write_text(vm_text("web"))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "GITVIRT_SETTINGS": ""}
    for arguments, code in (
        (["validate", "m", "-o", "json"], 0),
        (["plan", "--head", "m", "-o", "json"], 0),
        (["plan", "--base", "m", "--head", "m", "-detailed-exitcode"], 0),
        (["xml", "m"], 0),
        (["get", "vm", "--set", f"source.url={tmp_path}/m", "--set", f"stateDirectory={tmp_path}/s",
          "--set", f"keyFile={tmp_path}/key", "--set", f"runtimeDirectory={tmp_path}/r"], 17),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    assert "libvirt-dev" in done.stderr


def test_a_broken_invariant_is_never_taken_for_a_difference(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import reconciler.wiring_files as w\ndef boom(*a, **k): raise RuntimeError('cannot be')\nw.plan_files = boom\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "diff", "--head", str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 70
    assert "cannot be" in done.stderr


def test_debug_shows_the_traceback(home: Home) -> None:
    done = process("validate", "/nowhere", "--debug", "--settings", str(home.settings_file))
    assert done.returncode == 12
    assert "SourceError" in done.stderr
    assert "gitvirt: /nowhere does not exist" in done.stderr


def test_the_state_directory_is_closed_to_others(home: Home) -> None:
    run("apply", home=home)
    assert stat.S_IMODE((home.directory / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("word", ["vm", "VMs", "virtualmachines", "VirtualMachine"])
def test_kinds_may_be_named_as_people_do(home: Home, word: str) -> None:
    assert run("apply", home=home)[0] == 0
    assert run("get", word, "-o", "name", home=home)[1] == "VirtualMachine/default/web\n"


def test_a_kind_that_is_none(home: Home) -> None:
    code, _, err = run("get", "pods", home=home)
    assert code == 2
    assert "there is no kind 'pods'; there is vm, vmi, pvc, dv, net, all" in err


def test_a_name_that_was_probably_meant(home: Home) -> None:
    assert run("apply", home=home)[0] == 0
    assert "did you mean default/web?" in run("get", "vm", "wbe", home=home)[2]
    assert "did you mean default/web?" in run("describe", "vm", "prod/web", home=home)[2]


def test_describe_speaks_to_people(home: Home) -> None:
    assert run("apply", home=home)[0] == 0
    out = run("describe", "vm", "web", home=home)[1]
    assert "Memory:           256Mi\n" in out
    assert "Capacity:         1Gi\n" in run("describe", "pvc", "web-root", home=home)[1]


def test_status_says_that_no_daemon_runs_and_what_is_wrong(home: Home) -> None:
    home.commit({"bad.yaml": vm_text("bad", run_strategy="Sometimes")})
    out = run("status", home=home)[1]
    assert "daemon:     none runs here" in out
    assert 'error:      bad.yaml:5: the text "Sometimes" is not one of' in out


def test_a_cycle_that_ends_with_1_because_of_the_manifests_says_so(home: Home) -> None:
    home.commit({"bad.yaml": "kind: [\n"})
    for command in ("reconcile", "apply"):
        code, _, err = run(command, home=home)
        assert (code, "1 error in the manifests: `gitvirt status` tells" in err) == (1, True)


def test_a_cycle_on_an_older_revision_is_no_success(home: Home) -> None:
    assert run("reconcile", home=home)[0] == 0
    home.repository.rename(home.directory / "moved")
    assert run("reconcile", home=home)[0] == 12
    code, _, err = run("apply", home=home)
    assert code == 12
    assert "source unreachable" in err


def test_colour_is_left_out_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert on_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not on_terminal()


def test_xml_of_one_vm_cares_for_that_one_alone(home: Home) -> None:
    home.commit({"bad.yaml": vm_text("bad", run_strategy="Sometimes")})
    code, out, err = run("xml", str(home.repository), "--vm", "web", home=home)
    assert (code, err) == (0, "")
    assert "web" in out
    code, _, err = run("xml", str(home.repository), "--vm", "bad", home=home)
    assert code == 1
    assert "Sometimes" in err
    assert "there is no VM" not in err
