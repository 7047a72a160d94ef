"""``gitvirt get``, ``describe`` and ``status``: what is true now."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import AnyNamespace, Kind, KindName, Output, OutputFormat, read_kind, vm_arguments
from reconciler.cli.output import (
    Column,
    Row,
    age,
    short_revision,
    time_left,
    write_json,
    write_objects,
    write_table,
    write_yaml,
)
from reconciler.model.errors import EngineError
from reconciler.model.plain_text import one_line
from reconciler.model.quantity import format_bytes
from reconciler.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(
            "gitvirt get vm",
            "gitvirt get vm web -n prod -o wide",
            "gitvirt get vmi web -o yaml    as KubeVirt would tell it",
            "gitvirt get all -o name",
        )
    )(get)
    app.command(epilog=examples("gitvirt describe vm prod/web"))(describe)
    app.command(epilog=examples("gitvirt status", "gitvirt status -o wide    objects that are as declared, too"))(
        status
    )


_SHOWN_ERRORS = 5


def _fact(name: str) -> Any:
    return lambda row: row["facts"].get(name, "")


def _ready(row: Row) -> str:
    found = next((c["status"] for c in row["conditions"] if c["type"] == "Ready"), None)
    return "Unknown" if found is None else str(found)


def _size(row: Row) -> str:
    size = row["facts"].get("size_bytes", "")
    return format_bytes(int(size)) if size.isdigit() else ""


def _memory(row: Row) -> str:
    mib = row["facts"].get("memory_mib", "")
    return format_bytes(int(mib) << 20) if mib.isdigit() else ""


def _message(row: Row) -> str:
    state = "" if row["state"] == "Ready" or row["message"].startswith(row["state"].lower()) else row["state"]
    return ": ".join(part for part in (state, row["message"]) if part)


_NAMES: Sequence[Column] = (("NAMESPACE", lambda row: row["namespace"]), ("NAME", lambda row: row["name"]))
_STATUS: Column = ("STATUS", lambda row: row["status"])
_LAST: Sequence[Column] = (("MESSAGE", _message),)
_VM: Sequence[Column] = (
    *_NAMES, _STATUS, ("READY", _ready), ("IP", _fact("ip")), ("CPU", _fact("cpus")), ("MEMORY", _memory),
    ("UPTIME", lambda row: age(row["facts"].get("started_at")) if row["status"] == "Running" else ""), *_LAST,
)  # fmt: skip
_VOLUME: Sequence[Column] = (
    *_NAMES, _STATUS, ("CAPACITY", _size), ("CLASS", _fact("class")), ("POOL", _fact("pool")),
    ("PROGRESS", _fact("progress")), *_LAST,
)  # fmt: skip
_NET: Sequence[Column] = (*_NAMES, _STATUS, ("BRIDGE", _fact("bridge")), ("ADDRESS", _fact("address")), *_LAST)
_ALL: Sequence[Column] = (("OBJECT", lambda row: row["object"]), _STATUS, ("READY", _ready), *_LAST)
_REVISION: Column = ("REVISION", lambda row: short_revision(row["source"], row["revision"]))
COLUMNS: Mapping[Kind, tuple[Sequence[Column], Sequence[Column]]] = {
    Kind.VM: (_VM, (("IPS", _fact("ips")), ("ACCELERATOR", _fact("accelerator")), _REVISION)),
    Kind.VMI: (_VM, (("IPS", _fact("ips")), ("ACCELERATOR", _fact("accelerator")), _REVISION)),
    Kind.PVC: (
        _VOLUME,
        (("FORMAT", _fact("format")), ("VOLUME", _fact("volume")), ("SOURCE", _fact("source")), _REVISION),
    ),
    Kind.DV: (
        _VOLUME,
        (("FORMAT", _fact("format")), ("VOLUME", _fact("volume")), ("SOURCE", _fact("source")), _REVISION),
    ),
    Kind.NET: (_NET, (_REVISION,)),
    Kind.ALL: (_ALL, (_REVISION,)),
}
"""Columns of each kind, and those that ``-o wide`` adds."""


def get(
    context: typer.Context,
    kind_name: KindName,
    name: Annotated[str, typer.Argument(metavar="[[NAMESPACE/]NAME]", help="Only this one.")] = "",
    namespace: AnyNamespace = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """List objects with what is true of them now. Exit code 1 when a named one is not there."""
    kind = read_kind(kind_name)
    documents = output in (OutputFormat.YAML, OutputFormat.JSON)
    arguments = {"kind": str(kind), "documents": documents, **(vm_arguments(name, namespace) if name else {})}
    if not name and namespace:
        arguments["namespace"] = namespace
    settings = invocation(context).settings
    rows = _asked(settings, arguments)
    if name and not rows:
        _tell_missing(settings, kind, name)
        raise typer.Exit(1)
    items: list[Any] = [row["live"] for row in rows if row["live"]] if kind is Kind.VMI and documents else rows
    if documents and name and len(items) == 1:
        (write_json if output is OutputFormat.JSON else write_yaml)(items[0])
        return
    columns, wide = COLUMNS[kind]
    write_objects(
        items,
        output,
        columns=columns,
        wide=wide,
        name=lambda row: str(row["object"]),
        empty=f"no {kind} found{f' in namespace {namespace}' if namespace else ''}",
    )


def describe(
    context: typer.Context,
    kind_name: KindName,
    name: Annotated[str, typer.Argument(metavar="[NAMESPACE/]NAME", help="Its name.")],
    namespace: AnyNamespace = "",
) -> None:
    """Tell all about one object.

    State, conditions, live document, and what the journal tells of it last.
    """
    kind, settings = read_kind(kind_name), invocation(context).settings
    arguments = {"kind": str(kind), "documents": True, **vm_arguments(name, namespace)}
    rows = _asked(settings, arguments)
    if not rows:
        _tell_missing(settings, kind, name)
        raise typer.Exit(1)
    for number, row in enumerate(rows):
        if number:
            typer.echo("\n" + "-" * 40 + "\n")
        _describe_one(row)
        entries = wiring_ask.audit(settings, vm=row["object"], since=None, limit=5)
        if entries:
            typer.echo("\nLast entries of the journal:")
            write_table(
                ["TIME", "CAUSE", "ACTION", "RESULT", "REASON"],
                [[f"{e.at:%Y-%m-%d %H:%M:%S}", str(e.cause), str(e.action), e.result, e.reason] for e in entries],
            )


def _asked(settings: Settings, arguments: Mapping[str, Any]) -> list[Row]:
    """The objects asked for; what stood in the way of a fresh look is said, and ends the command when nothing is known."""
    view = wiring_ask.ask(settings, "get", arguments)
    for message in view["messages"]:
        tell_note(message)
    if view["messages"] and not view["objects"]:
        raise typer.Exit(EngineError.exit_code)
    found: list[Row] = view["objects"]
    return found


def _tell_missing(settings: Settings, kind: Kind, name: str) -> None:
    """That an object is not there, with the names that were probably meant."""
    rows = wiring_ask.ask(settings, "get", {"kind": str(kind)})["objects"]
    names = {f"{row['namespace']}/{row['name']}" if row["namespace"] else row["name"]: row["name"] for row in rows}
    last = name.rpartition("/")[2]
    near = difflib.get_close_matches(last, names.values(), n=3, cutoff=0.6)
    meant = ", ".join(full for full, short in names.items() if short in near)
    tell_note(
        f"there is no {kind} {name}" + (f"; did you mean {meant}?" if meant else f"; `gitvirt get {kind}` lists them")
    )


_HEADINGS: Mapping[str, str] = {
    "ip": "IP",
    "ips": "All IPs",
    "cpus": "CPUs",
    "memory_mib": "Memory",
    "size_bytes": "Capacity",
    "allocated_bytes": "Allocated",
    "class": "Storage class",
    "started_at": "Started",
}
"""Facts whose name alone would not tell."""


def _fact_line(name: str, value: str) -> tuple[str, str]:
    """A fact as people read it: (heading, value)."""
    if name.endswith("_bytes") and value.isdigit():
        value = format_bytes(int(value))
    elif name == "memory_mib" and value.isdigit():
        value = format_bytes(int(value) << 20)
    elif name.endswith("_at") and value:
        value = f"{age(value)} ago ({value[:19].replace('T', ' ')} UTC)"
    return _HEADINGS.get(name, name.replace("_", " ").capitalize()), value


def _describe_one(row: Row) -> None:
    facts = [
        ("Object", row["object"]),
        ("State", row["state"]),
        ("Status", row["status"]),
        ("Message", row["message"]),
        ("Declared in Git", "yes" if row["declared"] else "no"),
        ("Source", row["source"]),
        ("Applied revision", row["revision"]),
        ("Observed", f"{age(row['observed_at'])} ago" if row["observed_at"] else "never"),
        *(_fact_line(name, str(value)) for name, value in row["facts"].items() if name != "ips" or "," in value),
    ]
    width = max(len(heading) for heading, _ in facts) + 2
    for heading, value in facts:
        if value:
            typer.echo(f"{heading + ':':<{width}}{one_line(str(value))}")
    if row["conditions"]:
        typer.echo("\nConditions:")
        write_table(
            ["TYPE", "STATUS", "REASON", "MESSAGE"],
            [[c["type"], "Unknown" if c["status"] is None else str(c["status"]), c["reason"], c["message"]]
             for c in row["conditions"]],
        )  # fmt: skip
    if row["live"]:
        typer.echo("\nLive:")
        write_yaml(row["live"])


def status(context: typer.Context, output: Output = OutputFormat.TABLE) -> None:
    """Tell everything at a glance.

    Source, host, daemon, holds, errors of the manifests, the VMs, and every object that is not as declared.
    """
    view = wiring_ask.ask(invocation(context).settings, "status")
    match output:
        case OutputFormat.JSON:
            write_json(view)
        case OutputFormat.YAML:
            write_yaml(view)
        case OutputFormat.NAME:
            for row in view["objects"]:
                typer.echo(one_line(row["object"]))
        case _:
            _tell_status(view, everything=output is OutputFormat.WIDE)


def _tell_status(view: Mapping[str, Any], *, everything: bool) -> None:
    host = view["host"]
    lines = [
        ("owner", view["owner"]),
        *(line for source in view["sources"] for line in _source_lines(source)),
        (
            "cluster" if host and host["accelerator"] == "kubevirt" else "host",
            _host(host) if host else "" if view.get("standby") else "not observed",
        ),
        ("daemon", _daemon(view)),
        ("suspended", view["suspended"]),
        ("trash", _trash(view["trash"]) if view["trash"] and view["trash"]["items"] else ""),
    ]
    for heading, value in lines:
        if value:
            typer.echo(f"{heading + ':':<12}{one_line(value, 1000)}")
    errors = [problem for problem in view["problems"] if problem["severity"] == "error"]
    for problem in errors[:_SHOWN_ERRORS]:
        place = f"{problem['file']}:{problem['line']}" if problem["line"] else problem["file"]
        typer.echo(f"{'error:':<12}" + one_line(f"{place}: {problem['message']}", 1000))
    if len(errors) > _SHOWN_ERRORS:
        typer.echo(f"{'':<12}and {len(errors) - _SHOWN_ERRORS} more errors in the manifests; -o yaml lists them")
    for hold in view["plan"]["held"] if view["plan"] else ():
        how = f"; `gitvirt approve {hold['hold_id']}` releases it" if hold["approvable"] else ""
        if hold["rule"] != "suspended" or not view["suspended"]:
            typer.echo("held:       " + one_line(f"{hold['hold_id']} {hold['reason']}{how}", 1000))
    for message in view["messages"]:
        tell_note(message)
    rows = [row for row in view["objects"] if everything or row["state"] != "Ready" or row["kind"] == "VirtualMachine"]
    if rows:
        typer.echo("")
        write_table([heading for heading, _ in _ALL], [[cell(row) for _, cell in _ALL] for row in rows])


def _source_lines(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    revision, name = source["revision"], source["name"]
    at = f"{revision['commit'][:12]} {revision['subject']} ({revision['author']})" if revision else "none"
    ref = one_line(source["ref"].removeprefix("refs/"), 80)
    state = f"{source['state']}{f' at {ref}' if ref else ''}{_ago(source['checked_at'])}{_said(source['message'])}"
    yield "revision", f"{name} {at}" if name else at
    yield "source", f"{name} {state}" if name else state


def _host(host: Mapping[str, Any]) -> str:
    if host["accelerator"] == "kubevirt":
        return f"{host['hypervisor']}, KubeVirt"
    slow = {"qemu": "QEMU emulation (no working KVM)", "kvm": "KVM"}.get(host["accelerator"], host["accelerator"])
    return f"{host['hostname']}: {host['hypervisor']}, {slow}"


def _daemon(view: Mapping[str, Any]) -> str:
    if standby := view.get("standby"):
        return f"stands by as {standby['identity']}; {standby['leader'] or 'nobody'} leads"
    if not view["daemon"]:
        return "none runs here: nothing is corrected until `gitvirt run` or `gitvirt apply`"
    return f"running, last cycle {age(view['last_cycle_at'])} ago" if view["last_cycle_at"] else "running, no cycle yet"


def _trash(trash: Mapping[str, Any]) -> str:
    left_s = trash["expires_in_s"]
    ends = "nothing expires" if left_s is None else f"the first expires {time_left(left_s)}"
    items = f"{trash['items']} item{'s' * (trash['items'] != 1)}"
    return f"{items}, {format_bytes(trash['size_bytes'])}; {ends} (`gitvirt trash list`)"


def _ago(at: str | None) -> str:
    return f", looked at {age(at)} ago" if at else ""


def _said(message: str) -> str:
    return f": {message}" if message else ""
