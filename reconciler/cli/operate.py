"""What an operator does by hand: power, suspension, holds, release. Every one is recorded in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import For, Namespace, TextFormat, VmName, read_duration, read_kind, vm_arguments
from reconciler.cli.output import write_data
from reconciler.cli.report import any_failed, exit_code_of, write_report
from reconciler.model.plain_text import one_line

All = Annotated[bool, typer.Option("--all", help="Everything, instead of one VM.")]
MaybeVm = Annotated[str, typer.Argument(metavar="[[NAMESPACE/]VM]", help="The virtual machine.")]
Format = Annotated[TextFormat, typer.Option("--output", "-o", help="How to write what was done.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, lines in _EXAMPLES.items():
        app.command(epilog=examples(*lines) if lines else None)(command)


def start(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    duration: For = None,
    output: Format = TextFormat.TEXT,
) -> None:
    """Start a VM and keep it running until `resume` (or --for).

    It outranks runStrategy. A paused VM goes on.
    """
    _act(context, "start", {**vm_arguments(vm, namespace), "for_s": read_duration(duration, "--for")}, output)


def stop(
    context: typer.Context,
    vm: VmName,
    namespace: Namespace = "",
    duration: For = None,
    output: Format = TextFormat.TEXT,
) -> None:
    """Shut a VM down and keep it off until `resume` (or --for).

    The guest is asked first, and forced off after its grace period. It outranks runStrategy.
    """
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
    """Shut a VM down and start it with its stored configuration.

    What waits for a restart (RestartRequired) takes effect.
    """
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
    """Halt reconciliation of a VM, or of everything; guests go on.

    Drift is not corrected and commits are not applied to it until `resume` (or --for).
    """
    target = _target(vm, namespace, everything)
    _act(context, "suspend", {**target, "for_s": read_duration(duration, "--for"), "reason": reason}, output)


def resume(
    context: typer.Context,
    vm: MaybeVm = "",
    namespace: Namespace = "",
    everything: All = False,
    output: Format = TextFormat.TEXT,
) -> None:
    """End a suspension, and a start, stop or pause by hand.

    With --all it ends the suspension of everything; that of single VMs stays.
    """
    _act(context, "resume", _target(vm, namespace, everything), output)


def release(
    context: typer.Context,
    vm: Annotated[str, typer.Argument(metavar="[NAMESPACE/]NAME", help="The virtual machine, or what --kind says.")],
    namespace: Namespace = "",
    kind_name: Annotated[str, typer.Option("--kind", metavar="KIND", help="vm, pvc, dv or net.")] = "vm",
    output: Format = TextFormat.TEXT,
) -> None:
    """Let go of a VM: it stays as it is and is not gitvirt's any more.

    Take its manifest out of the repository as well; what is declared and not owned is reported, and never touched.
    """
    arguments = {"kind": str(read_kind(kind_name)), **vm_arguments(vm, namespace)}
    _act(context, "release", arguments, output)
    if output is TextFormat.TEXT:
        tell_note(f"{vm} is released and stays as it is; take its manifest out of the repository as well")


def approve(
    context: typer.Context,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD_ID", help="As `plan` and `status` show it.")],
    output: Format = TextFormat.TEXT,
) -> None:
    """Release changes that wait for a person, once."""
    _act(context, "approve", {"hold_id": hold_id}, output)


def reconcile(context: typer.Context, output: Format = TextFormat.TEXT) -> None:
    """Fetch and look at everything now, not at the next interval."""
    _act(context, "reconcile", {}, output)


def _target(vm: str, namespace: str, everything: bool) -> dict[str, Any]:
    if everything == bool(vm):
        raise typer.BadParameter("name a VM, or say --all")
    return {"all": True} if everything else dict(vm_arguments(vm, namespace))


def _act(context: typer.Context, verb: str, arguments: Mapping[str, Any], output: TextFormat) -> None:
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    view = wiring_ask.ask(invocation(context).settings, verb, given)
    if not write_data(view, output):
        _tell(verb, view, arguments)
    if code := exit_code_of(view) if verb == "reconcile" else any_failed(view):
        raise typer.Exit(code)


def _tell(verb: str, view: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """For people: what the cycle after it did, and what is true of the VM now."""
    found = view.get("object")
    write_report(view, about=None if verb in ("reconcile", "approve") else found["object"] if found else "")
    if found:
        message = f": {found['message']}" if found["message"] else ""
        typer.echo(one_line(f"{found['object']} is {found['status']} ({found['state']}){message}", 1000))
    elif arguments.get("all"):
        typer.echo(
            "Everything is suspended; `gitvirt resume --all` goes on."
            if verb == "suspend"
            else "Reconciliation goes on."
        )


_EXAMPLES: Mapping[Callable[..., None], tuple[str, ...]] = {
    start: ("gitvirt start web", "gitvirt start web -n prod --for 2h"),
    stop: ("gitvirt stop prod/web", "gitvirt stop web --for 30m"),
    pause: ("gitvirt pause web --for 5m",),
    restart: ("gitvirt restart prod/web",),
    suspend: (
        "gitvirt suspend web --reason 'looking at its disk' --for 4h",
        "gitvirt suspend --all --reason 'storage maintenance'",
    ),
    resume: ("gitvirt resume web", "gitvirt resume --all"),
    release: ("gitvirt release prod/web", "gitvirt release --kind pvc prod/web-root"),
    approve: ("gitvirt approve 1ab432a493bb",),
    reconcile: (),
}
"""The commands, each with its examples."""
