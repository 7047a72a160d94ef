"""``gitvirt validate``: manifests checked without daemon, hypervisor or repository."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from reconciler.cli.invocation import examples, invocation, own_version, tell_note
from reconciler.cli.options import OutputFormat
from reconciler.cli.output import write_json, write_table, write_yaml
from reconciler.model.plain_text import one_line
from reconciler.model.problem import Problem, Severity
from reconciler.reports.github import to_github
from reconciler.reports.report import Report, to_json
from reconciler.reports.sarif import to_sarif

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, directories, REPO@REVISION, or - for standard input.")
]


class ReportFormat(StrEnum):
    """How problems are reported: to people, to programs, to CI systems."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt validate vms/ networks.yaml",
            "gitvirt validate .@my-branch -o json",
            "gitvirt validate --format sarif . > gitvirt.sarif         for code scanning",
            "gitvirt validate --settings /etc/gitvirt/settings.yaml .   with that host's storage classes",
        )
    )(validate)


def validate(
    context: typer.Context,
    paths: Paths,
    output: Annotated[
        OutputFormat | None, typer.Option("--output", "-o", help="Text as compilers write it, unless said otherwise.")
    ] = None,
    report_format: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="For CI systems: JUnit XML, SARIF 2.1.0 or GitHub annotations."),
    ] = None,
) -> None:
    """Check manifests before they are committed.

    YAML, schemas, references between objects, what the engine cannot honour, and with settings what their host does not
    have. Exit code 0 without errors, 1 with.
    """
    from reconciler import wiring_files

    if output is not None and report_format is not None:
        raise typer.BadParameter("give --output or --format, not both", param_hint="--format")
    report = wiring_files.report_files(invocation(context).settings, paths)
    if report_format is None:
        _write_output(report, output)
    else:
        _write_report(report, report_format)
    if not report.files:
        tell_note("there is no manifest (*.yaml, *.yml, *.json) in what was named")
    if report.errors:
        raise typer.Exit(1)


def _write_output(report: Report, output: OutputFormat | None) -> None:
    match output:
        case OutputFormat.JSON:
            write_json(to_json(report))
        case OutputFormat.YAML:
            write_yaml(to_json(report))
        case OutputFormat.NAME:
            for key in sorted({str(problem.object) for problem in report.problems if problem.object}):
                typer.echo(one_line(key))
        case OutputFormat.TABLE | OutputFormat.WIDE:
            rows = [
                [str(p.place), str(p.severity), p.code, str(p.object or ""), p.path, p.message, p.hint]
                for p in report.problems
            ]
            write_table(["PLACE", "SEVERITY", "CODE", "OBJECT", "FIELD", "MESSAGE", "HINT"], rows)
        case None:
            write_problems(report.problems)
            typer.echo(_summary(report))


def _write_report(report: Report, report_format: ReportFormat) -> None:
    match report_format:
        case ReportFormat.TEXT:
            _write_output(report, None)
        case ReportFormat.JSON:
            _write_output(report, OutputFormat.JSON)
        case ReportFormat.JUNIT:
            from reconciler.reports.junit import to_junit

            typer.echo(to_junit(report), nl=False)
        case ReportFormat.SARIF:
            write_json(to_sarif(report, own_version()))
        case ReportFormat.GITHUB:
            for command in to_github(report):
                typer.echo(command)
            typer.echo(_summary(report))


def _summary(report: Report) -> str:
    warnings = len(report.problems) - report.errors
    return (
        f"{_count(len(report.objects), 'object')} in {_count(report.files, 'file')}: "
        f"{_count(report.errors, 'error')}, {_count(warnings, 'warning')}."
    )


def write_problems(problems: Sequence[Problem], *, to_stderr: bool = False) -> None:
    """``file:line:column: error code: message`` as compilers write it, so that editors can jump there."""
    console = Console(stderr=to_stderr, soft_wrap=True, highlight=False)
    for problem in problems:
        colour = "red" if problem.severity is Severity.ERROR else "yellow"
        place = one_line(str(problem.place))
        # A file may be named so that a CI system would obey the line it begins (``::stop-commands::``, ``##vso[…]``).
        line = Text(f"./{place}" if place.startswith(("::", "##")) else place, style="bold")
        line.append(": ", style="default")
        line.append(f"{problem.severity} {problem.code}", style=f"bold {colour}")
        where = " ".join(part for part in (str(problem.object or ""), problem.path) if part)
        line.append(one_line(f": {problem.message}{f' [{where}]' if where else ''}", 1000), style="default")
        console.print(line)
        if problem.hint:
            console.print(Text(f"    hint: {one_line(problem.hint, 1000)}", style="dim"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
