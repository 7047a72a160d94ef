"""What the command line tells of itself, and what it costs to start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from reconciler.cli.app import MODULE_OF, build_app, split_shared
from reconciler.cli.invocation import SECTIONS
from tests.unit.cli.commands import process, run

pytestmark = pytest.mark.usefixtures("logging_as_before")

_RUNNER = CliRunner()


def test_shared_options_may_stand_anywhere() -> None:
    given = ["get", "vm", "--settings", "/s", "-o", "json", "--set=a=b", "--debug", "--set", "c=d", "--", "--set", "x"]
    assert split_shared(given) == (
        ["--settings", "/s", "--set=a=b", "--debug", "--set", "c=d"],
        ["get", "vm", "-o", "json", "--", "--set", "x"],
    )


@pytest.mark.parametrize("command", MODULE_OF)
def test_every_command_is_found_in_its_module_and_has_help(command: str) -> None:
    result = _RUNNER.invoke(build_app(command), [command, "--help"])
    assert result.exit_code == 0
    assert command in result.output
    assert command in _RUNNER.invoke(build_app(), ["--help"]).output


def test_asking_a_daemon_loads_little() -> None:
    code = (
        "import sys; import reconciler.cli.get; sys.exit('reconciler.wiring' in sys.modules or 'pygit2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_has_every_command_in_a_section_and_fits_eighty_columns() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(MODULE_OF)
    shown = process("--help").stdout.splitlines()
    listed = [line for line in shown if line.startswith("  ") and line.split()[0] in MODULE_OF]
    assert len(listed) == len(MODULE_OF)
    assert not [line for line in listed if line.endswith("...") or len(line) > 80]


@pytest.mark.parametrize("command", sorted(set(MODULE_OF) - {"reconcile", "trash"}))
def test_every_command_shows_an_example(command: str) -> None:
    assert f"gitvirt {command}" in run(command, "--help")[1].partition("Examples:")[2].replace("sudo ", "")


def test_help_loads_neither_engine_nor_git() -> None:
    code = (
        "import sys; from reconciler.cli.app import build_app; build_app();"
        "print({'pygit2', 'structlog', 'jsonschema', 'lxml', 'prometheus_client'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
