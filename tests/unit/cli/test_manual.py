"""The manual page is that of this command line, and man reads it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from typer.main import get_command

from reconciler.cli.app import MODULE_OF, build_app
from reconciler.cli.command_table import command_table
from reconciler.cli.invocation import SECTIONS
from reconciler.cli.manual import PAGE, manual

TABLE = command_table(get_command(build_app()))


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == manual(TABLE), "docs/gitvirt.1 is out of date: run `make manual`"


def test_every_command_and_option_is_on_it() -> None:
    page = PAGE.read_text().replace("\\-", "-")
    assert {row.path for row in TABLE if row.path and f"\\fBgitvirt {row.path}\\fR" not in page} == set()
    assert {
        name for row in TABLE for option in row.options for name in option.names if f"\\fB{name}\\fR" not in page
    } == set()
    assert {name for names in SECTIONS.values() for name in names} == set(MODULE_OF)
    assert all(f"\n{code}\n" in page for code in (11, 12, 13, 14, 15, 16, 17, 70))


def test_no_line_is_a_request_by_accident() -> None:
    requests = {line.split()[0] for line in PAGE.read_text().splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".RS", ".RE", ".nf", ".fi"}


def test_man_reads_it_without_a_warning() -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(PAGE)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "90"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"gitvirt validate \[OPTIONS\] PATH\.\.\.", done.stdout)
