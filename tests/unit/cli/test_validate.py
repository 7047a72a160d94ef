"""Manifests checked from the command line: what is printed, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.commands import run
from tests.unit.daemon.homes import Home, vm_text
from tests.unit.daemon.parts import PATIENCE_S

pytestmark = pytest.mark.usefixtures("logging_as_before")

ROOT = Path(__file__).parents[3]


def test_validate_is_silent_about_good_ones_and_exits_0(home: Home) -> None:
    code, out, _ = run("validate", str(home.repository), home=home)
    assert (code, out) == (0, "2 objects in 1 file: 0 errors, 0 warnings.\n")
    code, out, _ = run("validate", str(home.repository), "-o", "json", home=home)
    assert (code, json.loads(out)) == (0, {"problems": []})


def test_validate_says_where_as_compilers_do(home: Home) -> None:
    path = home.repository / "web.yaml"
    path.write_text(path.read_text().replace("runStrategy:", "runStrateggy:"))
    code, out, _ = run("validate", str(path), home=home)
    assert code == 1
    first = out.splitlines()[0]
    assert first.startswith(f"{path}:5:3: error ")
    assert "runStrateggy" in first
    assert "1 error" in out.splitlines()[-1]
    code, out, _ = run("validate", str(path), "-o", "json", home=home)
    assert code == 1
    problem = json.loads(out)["problems"][0]
    shape = {"code", "severity", "file", "line", "column", "object", "path", "message", "hint", "fingerprint"}
    assert set(problem) == shape
    assert (problem["file"], problem["line"], problem["column"]) == (str(path), 5, 3)
    assert problem["object"] == "VirtualMachine/default/web"


def test_validate_reports_to_ci_systems_with_the_same_exit_codes(home: Home) -> None:
    path = home.repository / "web.yaml"
    for report_format in ("text", "json", "junit", "sarif", "github"):
        assert run("validate", "--format", report_format, str(path), home=home)[0] == 0
    path.write_text(path.read_text().replace("runStrategy:", "runStrateggy:"))
    outputs = {}
    for report_format in ("text", "json", "junit", "sarif", "github"):
        code, outputs[report_format], _ = run("validate", "--format", report_format, str(path), home=home)
        assert code == 1
    assert outputs["junit"].startswith("<?xml")
    assert json.loads(outputs["sarif"])["runs"][0]["results"][0]["ruleId"] == "schema-unknown-field"
    assert outputs["github"].startswith(f"::error file={path},line=5,col=3,title=schema-unknown-field")
    assert json.loads(outputs["json"]) == json.loads(run("validate", "-o", "json", str(path), home=home)[1])
    assert run("validate", "--format", "json", "-o", "json", str(path), home=home)[0] == 2
    assert run("validate", "--format", "html", str(path), home=home)[0] == 2


def test_the_pre_commit_hook_refuses_a_bad_commit(tmp_path: Path) -> None:
    hooks, work = tmp_path / "hooks", tmp_path / "work"
    command = tmp_path / "bin" / "gitvirt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
    command.chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "PATH": f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "a"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.org"),
    }

    def call(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)

    for repository in (hooks, work):
        repository.mkdir()
        assert call("git", "init", "-q", "-b", "main", cwd=repository).returncode == 0
    (hooks / ".pre-commit-hooks.yaml").write_text((ROOT / ".pre-commit-hooks.yaml").read_text())
    call("git", "add", ".", cwd=hooks)
    call("git", "commit", "-qm", "hooks", cwd=hooks)
    revision = call("git", "rev-parse", "HEAD", cwd=hooks).stdout.strip()
    # `language: system` takes the gitvirt of this checkout; users let pre-commit install it.
    hook = {"id": "gitvirt-validate", "language": "system"}
    config = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": [hook]}]}
    (work / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    (work / "web.yaml").write_text(vm_text("web"))
    call("git", "add", ".", cwd=work)
    assert call("pre-commit", "install", cwd=work).returncode == 0
    done = call("git", "commit", "-qm", "good", cwd=work)
    assert done.returncode == 0, done.stdout + done.stderr
    (work / "web.yaml").write_text(vm_text("web").replace("runStrategy:", "runStrateggy:"))
    call("git", "add", ".", cwd=work)
    refused = call("git", "commit", "-qm", "bad", cwd=work)
    assert refused.returncode == 1
    assert "web.yaml:5:3: error schema-unknown-field" in refused.stdout + refused.stderr


def test_validate_takes_revisions_and_standard_input(home: Home) -> None:
    assert run("validate", f"{home.repository}@main", home=home)[0] == 0
    code, out, _ = run("validate", "-", home=home, stdin="kind: VirtualMachine\nkind: x\n")
    assert code == 1
    assert "<stdin>:2:1: error" in out


def test_hostile_text_does_not_reach_the_terminal(home: Home) -> None:
    text = (
        'apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: "a\\e[31m\\u202eb"}\nspec: {"x\\e[2J": 1}\n'
    )
    path = home.repository / "evil.yaml"
    path.write_text(text)
    for output in ([], ["-o", "json"], ["-o", "yaml"], ["-o", "table"], ["-o", "name"]):
        code, out, err = run("validate", str(path), *output, home=home)
        assert code == 1
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err


def test_a_file_that_is_named_twice_is_read_once(home: Home) -> None:
    code, out, _ = run("validate", str(home.repository), str(home.repository / "web.yaml"))
    assert (code, out) == (0, "2 objects in 1 file: 0 errors, 0 warnings.\n")


def test_nothing_to_check_is_said(home: Home, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert "there is no manifest" in run("validate", str(nothing))[2]
    code, out, err = run("plan", "--base", str(home.repository), "--head", str(nothing))
    assert "holds no manifest" in err
    assert code == 0 and "to delete" in out


def test_storage_classes_are_checked_where_a_host_is_known(home: Home) -> None:
    home.commit({"web.yaml": vm_text("web").replace("accessModes", "storageClassName: fast\n  accessModes")})
    assert run("validate", str(home.repository))[0] == 0
    assert json.loads(run("plan", "--head", str(home.repository), "-o", "json")[1])["blocked"] == []
    code, out, _ = run("validate", str(home.repository), "-o", "json", home=home)
    assert code == 1
    (found,) = json.loads(out)["problems"]
    assert (found["code"], found["path"], found["line"]) == ("storage-class-unknown", "spec.storageClassName", 21)
    assert run("validate", str(home.repository), "--set", "storageClasses.fast.pool=nvme", home=home)[0] == 0


def test_what_only_shows_when_objects_are_joined(home: Home, tmp_path: Path) -> None:
    seed = "volumes: [{name: ci, cloudInitNoCloud: {secretRef: {name: s}}}, {name: root,"
    text = vm_text("web").replace("volumes: [{name: root,", seed)
    text = text.replace("disks: [", "disks: [{name: ci, disk: {}}, ")
    file = tmp_path / "one.yaml"
    file.write_text(f"{text}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{other: x}}\n")
    code, out, _ = run("validate", str(file), "-o", "json")
    assert code == 1
    (found,) = [one for one in json.loads(out)["problems"] if one["code"] != "secret-in-plain-text"]
    assert (found["code"], found["object"]) == ("reference-incomplete", "VirtualMachine/default/web")
    assert "has no entry 'userdata'" in found["message"]
