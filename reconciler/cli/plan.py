"""``gitvirt plan``, ``diff`` and ``apply``: what would be done, whether anything would, and doing it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import Invocation, examples, invocation, tell_fault, tell_note
from reconciler.cli.options import TextFormat, read_duration
from reconciler.cli.output import on_terminal, write_data
from reconciler.cli.report import exit_code_of, outdated_text, write_report
from reconciler.cli.validate import write_problems
from reconciler.model.errors import EngineError, GitvirtError

_CHANGES, _ERROR = 2, 1

Base = Annotated[
    str | None, typer.Option("--base", metavar="MANIFESTS", help="What is: file, directory, REPO@REVISION or -.")
]
Head = Annotated[
    str | None, typer.Option("--head", metavar="MANIFESTS", help="What shall be: file, directory, REPO@REVISION or -.")
]
Format = Annotated[TextFormat, typer.Option("--output", "-o", help="How to write the plan.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(
            "gitvirt plan                                      on this host, now",
            "gitvirt plan --base .@main --head .               before a commit, inside the repository",
            "gitvirt plan --base repo@v1 --head repo@v2 -o markdown",
        )
    )(plan)
    app.command(epilog=examples("gitvirt diff --base .@HEAD --head . && echo nothing differs"))(diff)
    app.command(
        epilog=examples(
            "gitvirt apply 0b6a1f7c2d3e4f50     the plan that was read, and no other",
            "gitvirt apply --wait 10m           until imports are done, without a daemon",
        )
    )(apply)


def plan(
    context: typer.Context,
    base: Base = None,
    head: Head = None,
    output: Format = TextFormat.TEXT,
    detailed_exitcode: Annotated[
        bool,
        typer.Option("--detailed-exitcode", "-detailed-exitcode", help="0 nothing to do, 1 error, 2 changes."),
    ] = False,
) -> None:
    """Show what would be done, why, and with what impact. Nothing is changed.

    Without --base and --head it compares the accepted revision with this host. With --head it compares manifests with
    manifests (--base, or nothing) and needs neither daemon nor libvirt.
    """
    try:
        answer, has_errors = _planned(invocation(context), base, head, output)
    except GitvirtError as fault:
        if not detailed_exitcode:
            raise
        tell_fault(fault)
        raise typer.Exit(_ERROR) from fault
    if has_errors:
        raise typer.Exit(_ERROR)
    if answer.get("outdated"):
        raise typer.Exit(_ERROR if detailed_exitcode else EngineError.exit_code)
    if detailed_exitcode and (answer["changes"] or answer["held"]):
        raise typer.Exit(_CHANGES)


def diff(context: typer.Context, base: Base = None, head: Head = None, output: Format = TextFormat.TEXT) -> None:
    """Show what differs. Exit code 0 when nothing does, 1 when something does, above 1 on an error."""
    answer, has_errors = _planned(invocation(context), base, head, output)
    if has_errors:
        raise typer.Exit(_CHANGES)
    if answer.get("outdated"):
        raise typer.Exit(EngineError.exit_code)
    if answer["changes"] or answer["held"] or answer["restart_required"]:
        raise typer.Exit(1)


def _planned(
    call: Invocation, base: str | None, head: str | None, output: TextFormat
) -> tuple[Mapping[str, Any], bool]:
    """The plan as plain data, already written, and whether the manifests have errors."""
    if head is None:
        if base is not None:
            raise typer.BadParameter("--base needs --head")
        answer, text = wiring_ask.live_plan(call.settings, colour=on_terminal(), markdown=output is TextFormat.MARKDOWN)
        _write(answer, text, output)
        if answer["outdated"] and output in (TextFormat.JSON, TextFormat.YAML):
            tell_note(outdated_text(answer["outdated"]))
        return answer, False
    if base == "-" == head:
        raise typer.BadParameter("only one of --base and --head can be standard input")
    from reconciler import wiring_files

    found = wiring_files.plan_files(
        call.settings, base, head, colour=on_terminal(), markdown=output is TextFormat.MARKDOWN
    )
    write_problems(found.problems, to_stderr=True)
    if found.is_empty:
        tell_note(f"{head} holds no manifest: a daemon takes that for a fault of the repository and deletes nothing")
    _write(found.plan, found.text, output)
    return found.plan, found.errors > 0


def _write(answer: Mapping[str, Any], text: str, output: TextFormat) -> None:
    if not write_data(answer, output):
        typer.echo(text, nl=False)


def apply(
    context: typer.Context,
    plan_id: Annotated[str, typer.Argument(metavar="[PLAN_ID]", help="As `gitvirt plan` shows it.")] = "",
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Go on for so long until all is done.")
    ] = None,
    output: Annotated[TextFormat, typer.Option("--output", "-o", help="How to write what was done.")] = TextFormat.TEXT,
) -> None:
    """Run one cycle: fetch, compare, apply, journal. Beside a daemon it is that daemon's cycle.

    With a PLAN_ID exactly that plan is carried out: where the repository or the host has changed since, nothing is (exit code 18).

    Imports and copies belong to the process that began them: without a daemon give --wait, and they go on meanwhile.
    """

    def tell(view: Mapping[str, Any]) -> None:
        if output in (TextFormat.TEXT, TextFormat.MARKDOWN):
            write_report(view)

    from reconciler import wiring

    view = wiring.apply_once(
        invocation(context).settings, plan_id=plan_id, wait_s=read_duration(wait, "--wait") or 0.0, progress=tell
    )
    write_data(view, output)
    if code := exit_code_of(view):
        raise typer.Exit(code)
