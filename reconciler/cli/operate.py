"""What an operator does by hand: power, suspension, holds, release. Every one is recorded in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import invocation
from reconciler.cli.options import For, Namespace, TextFormat, VmName, read_duration, vm_arguments
from reconciler.cli.output import write_json, write_yaml
from reconciler.cli.report import write_report
from reconciler.model.plain_text import one_line

All = Annotated[bool, typer.Option("--all", help="Everything, instead of one VM.")]
MaybeVm = Annotated[str, typer.Argument(metavar="[[NAMESPACE/]VM]", help="The virtual machine.")]
Format = Annotated[TextFormat, typer.Option("--output", "-o", help="How to write what was done.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (start, stop, pause, restart, suspend, resume, release, approve, reconcile):
        app.command()(command)


def start(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    duration: For = None,
    output: Format = TextFormat.TEXT,
) -> None:
    """Start a VM and keep it running, whatever its runStrategy says, until `resume` (or --for)."""
    _act(context, "start", {**vm_arguments(vm, namespace), "for_s": read_duration(duration, "--for")}, output)


def stop(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    duration: For = None,
    output: Format = TextFormat.TEXT,
) -> None:
    """Shut a VM down gracefully and keep it off, whatever its runStrategy says, until `resume` (or --for)."""
    _act(context, "stop", {**vm_arguments(vm, namespace), "for_s": read_duration(duration, "--for")}, output)


def pause(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    duration: For = None,
    output: Format = TextFormat.TEXT,
) -> None:
    """Halt a VM's processors until `resume` (or --for)."""
    _act(context, "pause", {**vm_arguments(vm, namespace), "for_s": read_duration(duration, "--for")}, output)


def restart(context: typer.Context, vm: VmName, namespace: Namespace = "", output: Format = TextFormat.TEXT) -> None:
    """Shut a VM down and start it with its stored configuration: what waits for a restart takes effect."""
    _act(context, "restart", vm_arguments(vm, namespace), output)


def suspend(
    context: typer.Context,
    vm: MaybeVm = "",
    namespace: Namespace = "",
    everything: All = False,
    duration: For = None,
    reason: Annotated[str, typer.Option("--reason", help="For those who find it suspended.")] = "",
    output: Format = TextFormat.TEXT,
) -> None:
    """Halt reconciliation of a VM, or of everything with --all. No guest is touched."""
    target = _target(vm, namespace, everything)
    _act(context, "suspend", {**target, "for_s": read_duration(duration, "--for"), "reason": reason}, output)


def resume(
    context: typer.Context,
    vm: MaybeVm = "",
    namespace: Namespace = "",
    everything: All = False,
    output: Format = TextFormat.TEXT,
) -> None:
    """End a VM's suspension and its start, stop or pause by hand; with --all the suspension of everything."""
    _act(context, "resume", _target(vm, namespace, everything), output)


def release(context: typer.Context, vm: VmName, namespace: Namespace = "", output: Format = TextFormat.TEXT) -> None:
    """Let go of a VM: gitvirt's marks are taken off and the VM stays as it is."""
    _act(context, "release", vm_arguments(vm, namespace), output)


def approve(
    context: typer.Context,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD_ID", help="As `plan` and `status` show it.")],
    output: Format = TextFormat.TEXT,
) -> None:
    """Release changes that wait for a person, once."""
    _act(context, "approve", {"hold_id": hold_id}, output)


def reconcile(context: typer.Context, output: Format = TextFormat.TEXT) -> None:
    """Fetch and look at everything now instead of at the next interval."""
    _act(context, "reconcile", {}, output)


def _target(vm: str, namespace: str, everything: bool) -> dict[str, Any]:
    if everything == bool(vm):
        raise typer.BadParameter("name a VM, or say --all")
    return {"all": True} if everything else dict(vm_arguments(vm, namespace))


def _act(context: typer.Context, verb: str, arguments: Mapping[str, Any], output: TextFormat) -> None:
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    view = wiring_ask.ask(invocation(context).settings, verb, given)
    match output:
        case TextFormat.JSON:
            write_json(view)
        case TextFormat.YAML:
            write_yaml(view)
        case _:
            write_report(view)
            found = view.get("object")
            if found:
                message = f": {found['message']}" if found["message"] else ""
                typer.echo(one_line(f"{found['object']} is {found['status']} ({found['state']}){message}", 1000))
    if any(change["result"] in ("failed", "refused", "unknown") for change in view["applied"]):
        raise typer.Exit(1)
