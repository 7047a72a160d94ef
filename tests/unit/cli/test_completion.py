"""Completion in the shells themselves, beside a daemon that knows the names."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from reconciler.cli.app import build_app
from reconciler.cli.command_table import command_table
from reconciler.cli.completion_scripts import script_of
from tests.unit.daemon.homes import Home, make_home, vm_text
from tests.unit.daemon.parts import PATIENCE_S, eventually

ROOT = Path(__file__).parents[3]
BASH = """
source "$1"; shift
while read -r -a COMP_WORDS; do
    if [[ ${COMP_WORDS[-1]} == . ]]; then COMP_WORDS[-1]=''; fi
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _gitvirt </dev/null; printf '%s\\n' "${COMPREPLY[@]}"; echo '==='
done
"""
ZSH = """
zmodload zsh/parameter
compadd() { if [[ $1 == -a ]]; then print -l -- "${(@P)2}"; fi }
_describe() { print -l -- "${(@P)2}"; }
_files() { print -l -- *(N); }
compdef() { : }
source "$1"
while read -r -A words; do
    if [[ $words[-1] == . ]]; then words[-1]=''; fi
    CURRENT=$#words; _gitvirt </dev/null; echo '==='
done
true
"""
FISH = """
source $argv[1]
while read -l line
    complete -C (string replace -r '[.]$' '' -- $line) </dev/null; echo '==='
end
"""
CASES = {
    ("va",): {"validate"},
    ("--settings", "/dev/null", "sta"): {"start", "status"},
    ("validate", "--form"): {"--format"},
    ("validate", "--format", "s"): {"sarif"},
    ("validate", "vm"): {"vms"},
    ("get", "v"): {"vm", "vmi"},
    ("get", "-o", "json", "p"): {"pvc"},
    ("trash", "re"): {"restore"},
    ("trash", "restore", ""): set(),
    ("completion", "z"): {"zsh"},
    ("stop", ""): {"web", "prod/db"},
    ("stop", "--for", "2h", "w"): {"web"},
    ("audit", "--vm", "p"): {"prod/db"},
    ("describe", "vm", "w"): {"web", "web-root"},
}
"""What is typed, and what a shell offers for the last word."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the three scripts and a ``gitvirt`` that is this checkout."""
    directory = tmp_path_factory.mktemp("completion")
    table = command_table(get_command(build_app()))
    for shell in ("bash", "zsh", "fish"):
        (directory / shell).write_text(script_of(shell, table))
    command = directory / "gitvirt"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
    command.chmod(0o755)
    # A shell is not kept waiting for names; here what they are is asked for, on a machine that may be busy.
    (directory / "sitecustomize.py").write_text(f"import reconciler.cli.names as n; n.TIMEOUT_S = {PATIENCE_S}\n")
    return directory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A daemon with two VMs."""
    files = {"web.yaml": vm_text("web"), "db.yaml": vm_text("db").replace("{name: db}", "{name: db, namespace: prod}")}
    made = make_home(tmp_path_factory.mktemp("home"), files, log={"level": "info", "format": "json"})
    log = made.directory / "log"
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "run", "--settings", str(made.settings_file)], stdout=out, stderr=out
        )
    try:
        eventually(lambda: log.read_text().count("change.applied") >= 3 or daemon.poll() is not None)
        yield made
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE_S)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_offered(shell: str, scripts: Path, home: Home) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": f"{scripts}:{ROOT}",
        "GITVIRT_SETTINGS": str(home.settings_file),
        "HOME": str(scripts),
    }
    command = {
        "bash": ["bash", "--norc", "-c", BASH, "bash", str(scripts / "bash")],
        "zsh": ["zsh", "-f", "-c", ZSH, "zsh", str(scripts / "zsh")],
        "fish": ["fish", "--no-config", "-c", FISH, str(scripts / "fish")],
    }[shell]
    typed = "".join(f"gitvirt {' '.join(word or '.' for word in words)}\n" for words in CASES)
    done = subprocess.run(
        command,
        input=typed,
        env=environment,
        cwd=ROOT / "sample-repo",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stderr == ""
    answers = done.stdout.split("===\n")
    assert len(answers) == len(CASES) + 1
    for (words, offered), answer in zip(CASES.items(), answers, strict=False):
        found = {text.split("\t")[0].split(":")[0].rstrip("/") for text in answer.splitlines()}
        # zsh filters by what is typed itself.
        assert {text for text in found if text and text.startswith(words[-1])} == offered, words


def test_zsh_takes_it_up_with_its_own_completion_system(scripts: Path, tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "_gitvirt").write_text((scripts / "zsh").read_text())
    environment = {"PATH": f"{scripts}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "vt100", "LC_ALL": "C"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT / "sample-repo")
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
    try:
        setup = f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -D -u; print -r -- REA''DY\n"
        for typed, shown in (
            (setup, "READY"),
            ("gitvirt valid\t", "validate"),
            ("--form\t", "--format"),
            ("sar\t", "sarif"),
        ):
            os.write(terminal, typed.encode())
            assert shown in read_until(terminal, shown), typed
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def read_until(terminal: int, wanted: str) -> str:
    """What a terminal shows, without its own codes, until the text is there or patience is at an end."""
    shown, end = "", time.monotonic() + PATIENCE_S
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
            shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x00", "", shown)
    return shown


def test_names_come_quickly_and_nothing_is_said_where_nobody_answers(scripts: Path, home: Home, tmp_path: Path) -> None:
    def names(settings: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", "-m", "reconciler", "__names", "vm", str(settings)]
        environment = {**os.environ, "PYTHONPATH": f"{scripts}:{ROOT}"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True)

    before = time.process_time()
    found = names(home.settings_file)
    assert found.stdout.split() == ["prod/db", "web"]
    assert time.process_time() - before < 1
    loaded = {line.rsplit("|", 1)[-1].strip() for line in found.stderr.splitlines() if "|" in line}
    assert not loaded & {"typer", "yaml", "reconciler.settings", "jsonschema_rs", "pygit2"}
    missing = tmp_path / "settings.yaml"
    missing.write_text(f"runtimeDirectory: {tmp_path}\n")
    assert names(missing).stdout == ""
