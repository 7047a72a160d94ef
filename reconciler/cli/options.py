"""Options that several commands have, each defined once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from reconciler.model.plain_text import one_line
from reconciler.settings import parse_duration_s


class OutputFormat(StrEnum):
    """How a result is written."""

    TABLE = "table"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"
    NAME = "name"


class DataFormat(StrEnum):
    """How data are written."""

    YAML = "yaml"
    JSON = "json"


class Kind(StrEnum):
    """What can be listed."""

    VM = "vm"
    VMI = "vmi"
    PVC = "pvc"
    DV = "dv"
    NET = "net"
    ALL = "all"


KIND_NAMES: Mapping[str, Kind] = {
    "vm": Kind.VM,
    "virtualmachine": Kind.VM,
    "vmi": Kind.VMI,
    "virtualmachineinstance": Kind.VMI,
    "pvc": Kind.PVC,
    "persistentvolumeclaim": Kind.PVC,
    "dv": Kind.DV,
    "datavolume": Kind.DV,
    "net": Kind.NET,
    "network": Kind.NET,
    "nad": Kind.NET,
    "net-attach-def": Kind.NET,
    "networkattachmentdefinition": Kind.NET,
    "all": Kind.ALL,
}
"""What people call kinds, in the singular."""


def read_kind(text: str) -> Kind:
    """A kind as people write it: short or in full, one or many, in any case."""
    word = text.lower()
    found = KIND_NAMES.get(word) or KIND_NAMES.get(word.removesuffix("s"))
    if found is None:
        raise typer.BadParameter(f"there is no kind {one_line(text)!r}; there is {', '.join(Kind)}", param_hint="KIND")
    return found


class TextFormat(StrEnum):
    """How a plan or a list of problems is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    YAML = "yaml"
    JSON = "json"


def read_duration(text: str | None, option: str) -> float | None:
    """A duration option in seconds, None when it was not given."""
    if text is None:
        return None
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    if seconds <= 0:
        raise typer.BadParameter("a duration must be longer than nothing", param_hint=option)
    return seconds


def read_since(text: str | None) -> datetime | None:
    """A point in time: a duration before now (``2h``), or a date or time as ISO 8601, UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration_s(text))
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is neither a duration (2h) nor a time (2026-01-31T12:00)"
        raise typer.BadParameter(message, param_hint="--since") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="How to write the result.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where the name says none; else the default one.")
]
AnyNamespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only in this namespace; else in all.")
]
KindName = Annotated[str, typer.Argument(metavar="KIND", help="vm, vmi, pvc, dv, net or all.")]
VmName = Annotated[str, typer.Argument(metavar="[NAMESPACE/]VM", help="The virtual machine.")]
For = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="End by itself after this time, such as 2h.")
]


def vm_arguments(name: str, namespace: str) -> dict[str, str]:
    """``web`` or ``prod/web`` with ``--namespace`` as a request's arguments."""
    inside, slash, last = name.rpartition("/")
    if slash and namespace and inside != namespace:
        raise typer.BadParameter(f"{name!r} names another namespace than --namespace {namespace}")
    return {"namespace": inside or namespace, "name": last}
