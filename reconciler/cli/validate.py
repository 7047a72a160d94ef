"""``gitvirt validate``: manifests checked without daemon, hypervisor or repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import OutputFormat
from reconciler.cli.output import write_json, write_table, write_yaml
from reconciler.model.plain_text import one_line
from reconciler.model.problem import Problem, Severity

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, directories, REPO@REVISION, or - for standard input.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt validate vms/ networks.yaml",
            "gitvirt validate .@my-branch -o json",
            "gitvirt validate --settings /etc/gitvirt/settings.yaml .   with that host's storage classes",
        )
    )(validate)


def validate(
    context: typer.Context,
    paths: Paths,
    output: Annotated[
        OutputFormat | None, typer.Option("--output", "-o", help="Text as compilers write it, unless said otherwise.")
    ] = None,
) -> None:
    """Check manifests before they are committed.

    YAML, schemas, references between objects, what the engine cannot honour, and with settings what their host does not
    have. Exit code 0 without errors, 1 with.
    """
    from reconciler import wiring_files  # noqa: PLC0415

    reading = wiring_files.read_files(invocation(context).settings, paths)
    match output:
        case OutputFormat.JSON:
            write_json({"problems": [problem.to_dict() for problem in reading.problems]})
        case OutputFormat.YAML:
            write_yaml({"problems": [problem.to_dict() for problem in reading.problems]})
        case OutputFormat.NAME:
            for key in sorted({str(problem.object) for problem in reading.problems if problem.object}):
                typer.echo(one_line(key))
        case OutputFormat.TABLE | OutputFormat.WIDE:
            rows = [
                [str(p.place), str(p.severity), p.code, str(p.object or ""), p.path, p.message, p.hint]
                for p in reading.problems
            ]
            write_table(["PLACE", "SEVERITY", "CODE", "OBJECT", "FIELD", "MESSAGE", "HINT"], rows)
        case None:
            write_problems(reading.problems)
            warnings = len(reading.problems) - reading.errors
            objects = len(reading.declared.documents) + len(reading.declared.invalid)
            typer.echo(
                f"{_count(objects, 'object')} in {_count(reading.files, 'file')}: "
                f"{_count(reading.errors, 'error')}, {_count(warnings, 'warning')}."
            )
    if not reading.files:
        tell_note("there is no manifest (*.yaml, *.yml, *.json) in what was named")
    if reading.errors:
        raise typer.Exit(1)


def write_problems(problems: Sequence[Problem], *, to_stderr: bool = False) -> None:
    """``file:line:column: error code: message`` as compilers write it, so that editors can jump there."""
    console = Console(stderr=to_stderr, soft_wrap=True, highlight=False)
    for problem in problems:
        colour = "red" if problem.severity is Severity.ERROR else "yellow"
        line = Text(one_line(str(problem.place)), style="bold")
        line.append(": ", style="default")
        line.append(f"{problem.severity} {problem.code}", style=f"bold {colour}")
        where = " ".join(part for part in (str(problem.object or ""), problem.path) if part)
        line.append(one_line(f": {problem.message}{f' [{where}]' if where else ''}", 1000), style="default")
        console.print(line)
        if problem.hint:
            console.print(Text(f"    hint: {one_line(problem.hint, 1000)}", style="dim"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
