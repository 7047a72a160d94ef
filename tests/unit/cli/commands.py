"""Commands as tests call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from reconciler.cli.app import build_app, split_shared
from tests.unit.daemon.homes import Home
from tests.unit.daemon.parts import PATIENCE_S

_RUNNER = CliRunner()


def run(*arguments: str, home: Home | None = None, stdin: str = "") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command in this process."""
    named = ["--settings", str(home.settings_file)] if home else []
    shared, rest = split_shared([*arguments, *named])
    result = _RUNNER.invoke(build_app(), [*shared, *rest], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def process(*arguments: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments],
        input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=cwd, env=environment,
    )  # fmt: skip
