"""``gitvirt run``: the daemon, in the foreground."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.get import COLUMNS
from reconciler.cli.invocation import examples, invocation
from reconciler.cli.options import Kind
from reconciler.cli.output import write_table
from reconciler.model.errors import OutputError
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectState, ObjectStatus
from reconciler.settings import DEFAULT_PATH, Settings, redacted_url

if TYPE_CHECKING:
    from reconciler.daemon.cycle import CycleReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt run --settings /etc/gitvirt/settings.yaml",
            "gitvirt run --set source.url=/srv/vms.git --show-table",
        )
    )(run)


def run(
    context: typer.Context,
    show_table: Annotated[
        bool, typer.Option("--show-table", help="Print the table of VMs whenever they have settled after a change.")
    ] = False,
) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C.

    VMs go on running when it ends. SIGHUP reconciles at once.
    """
    import structlog

    from reconciler import wiring, wiring_daemon, wiring_lead
    from reconciler.daemon import events
    from reconciler.daemon.log_setup import set_up_logging

    settings = invocation(context).settings
    set_up_logging(settings.log)
    listeners = [SettledTable(settings)] if show_table else []
    led = wiring_lead.lead(settings)
    if led is None:
        return
    with wiring_daemon.daemon_of(settings, led, listeners) as running:
        structlog.get_logger("gitvirt.run").info(
            events.DAEMON_STARTED,
            settings=settings.origin,
            owner=settings.policy.owner,
            engine=wiring.engine_uri(settings),
        )
        code = running.daemon.run()
    if code:
        raise typer.Exit(code)


class SettledTable:
    """Prints the table of VMs once nothing is under way any more, and again when that has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shown: tuple[tuple[str, ...], ...] | None = None
        self._is_lost = False

    def __call__(self, report: CycleReport, statuses: Sequence[ObjectStatus]) -> None:
        """Hear of a cycle."""
        vms = [status for status in statuses if status.key.kind == "VirtualMachine"]
        if self._is_lost or not report.record.revisions or not vms or not all(map(is_settled, vms)):
            return
        if any(status.state is ObjectState.PROGRESSING for status in statuses):
            return
        facts = tuple(
            (str(vm.key), str(vm.state), vm.printable_status, vm.facts.get("ip", ""), vm.message) for vm in vms
        )
        if facts == self._shown:
            return
        first, self._shown = self._shown is None, facts
        try:
            self._show(vms, with_what_next=first)
        except (OutputError, BrokenPipeError) as fault:
            # No table is worth a cycle.
            self._is_lost = True
            import structlog

            from reconciler.daemon import events

            structlog.get_logger("gitvirt.run").warning(events.TABLE_LOST, reason=str(fault))

    def _show(self, vms: Sequence[ObjectStatus], *, with_what_next: bool) -> None:
        from reconciler.daemon.views import status_view

        columns, _ = COLUMNS[Kind.VM]
        rows = [status_view(vm, with_document=False) for vm in vms]
        typer.echo("")
        write_table([heading for heading, _ in columns], [[cell(row) for _, cell in columns] for row in rows])
        if with_what_next:
            self._tell_what_next(vms)
        typer.echo("")

    def _tell_what_next(self, vms: Sequence[ObjectStatus]) -> None:
        origin = Path(self._settings.origin)
        is_named = origin.is_file() and origin != DEFAULT_PATH
        named = f" --settings {shlex.quote(str(origin.resolve()))}" if is_named else ""
        vm = next((vm.key for vm in vms if vm.printable_status == "Running"), vms[0].key)
        slow = "" if vms[0].facts.get("accelerator") != "qemu" else "  (QEMU emulation: no working KVM here)"
        followed = ", ".join(f"{redacted_url(source.url)} ({source.follow})" for source in self._settings.sources)
        typer.echo(f"\nFollowing {followed}{slow}. What to type next:")
        for command, meaning in (
            (f"gitvirt{named} get vm -o wide", "the same table, with more"),
            (f"gitvirt{named} describe vm {vm.namespace}/{vm.name}", "all about one VM"),
            (_console_command(vm, self._settings), "its serial console; Ctrl-] leaves it"),
            (f"gitvirt{named} audit", "who did what, when, because of which commit"),
            (f"gitvirt{named} plan", "what would be done now"),
        ):
            typer.echo(f"  {command:<60} {meaning}")
        typer.echo("  Ctrl-C stops the daemon, not the VMs.")


def _console_command(vm: ObjectKey, settings: Settings) -> str:
    if settings.policy.on_cluster:
        return f"virtctl console {vm.name} -n {vm.namespace}"
    return f"virsh console {vm.namespace}_{vm.name}"


def is_settled(vm: ObjectStatus) -> bool:
    """Whether a VM is where it will stay: running with an address, or not to be running, or waiting for a person."""
    if vm.state is ObjectState.PROGRESSING or vm.printable_status in ("Starting", "Stopping", "Provisioning"):
        return False
    if vm.state in (ObjectState.READY, ObjectState.STAGED) and vm.printable_status == "Running":
        from reconciler.daemon.addresses import awaits_address

        return bool(vm.facts.get("ip")) or not awaits_address(vm, datetime.now(UTC))
    return True
