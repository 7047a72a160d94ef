"""Writes results: tables for people, YAML and JSON for programs. What comes from outside is made safe for a terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from reconciler.cli.options import OutputFormat, TextFormat
from reconciler.model.plain_text import one_line

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]

_GAP = "   "
_GOOD = frozenset({"Running", "Ready", "True", "Succeeded", "Active", "Bound", "applied", "ok"})
_BAD = frozenset({"Failed", "Invalid", "False", "CrashLoopBackOff", "failed", "refused", "Unknown", "unknown"})
_LAST_COLUMN = 200


def local_time(at: str) -> str:
    """A time of a view, as a clock on the wall here would say it."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_revision(source: str, commit: str) -> str:
    """A commit as tables show it, with the name of its source where there are several."""
    return f"{source}@{commit[:12]}" if source and commit else commit[:12]


def write_json(value: Any) -> None:
    """Indented JSON in ASCII, so that no text in it can act on a terminal."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True, default=str))


def write_yaml(value: Any) -> None:
    """Block YAML in ASCII, keys in their order."""
    typer.echo(
        yaml.safe_dump(json.loads(json.dumps(value, default=str)), sort_keys=False, allow_unicode=False), nl=False
    )


def write_data(value: Any, output: TextFormat) -> bool:
    """A result as data, where data were asked for; whether they were."""
    if output is TextFormat.JSON:
        write_json(value)
    elif output is TextFormat.YAML:
        write_yaml(value)
    return output in (TextFormat.JSON, TextFormat.YAML)


def write_objects(
    items: Sequence[Row],
    output: OutputFormat,
    *,
    columns: Sequence[Column],
    wide: Sequence[Column] = (),
    name: Callable[[Row], str],
    empty: str,
) -> None:
    """A list in the format asked for."""
    match output:
        case OutputFormat.JSON:
            write_json({"items": list(items)})
        case OutputFormat.YAML:
            write_yaml({"items": list(items)})
        case OutputFormat.NAME:
            for item in items:
                typer.echo(one_line(name(item)))
        case _ if not items:
            typer.echo(empty, err=True)
        case _:
            chosen = [*columns, *(wide if output is OutputFormat.WIDE else ())]
            write_table([heading for heading, _ in chosen], [[cell(item) for _, cell in chosen] for item in items])


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns padded with blanks; one that is empty in every row is left out. Words of state get a colour on a terminal."""
    safe = [[one_line(cell, _LAST_COLUMN) for cell in row] for row in rows]
    kept = [index for index in range(len(headings)) if not rows or any(row[index] for row in safe)]
    widths = [max(cell_len(row[index]) for row in [headings, *safe]) for index in kept]
    console = Console(soft_wrap=True, highlight=False)
    for number, row in enumerate([headings, *safe]):
        line = Text()
        for position, index in enumerate(kept):
            text = row[index]
            last = position == len(kept) - 1
            padding = "" if last else " " * (widths[position] - cell_len(text)) + _GAP
            line.append(text, style="bold" if number == 0 else _style(text))
            line.append(padding)
        line.rstrip()
        console.print(line)


def _style(word: str) -> str:
    return "green" if word in _GOOD else "red" if word in _BAD else ""


def age(text: str | None, now: datetime | None = None) -> str:
    """The time since an RFC 3339 or ISO time, in one unit; empty for none."""
    if not text:
        return ""
    try:
        then = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return ""
    return _short_time(((now or datetime.now(UTC)) - then).total_seconds())


def time_left(seconds: float) -> str:
    """``in 6d``, or ``now``."""
    return f"in {_short_time(seconds)}" if seconds >= 1 else "now"


def _short_time(span_s: float) -> str:
    seconds = max(0, int(span_s))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    if seconds < 172800:
        return f"{seconds // 3600}h"
    return f"{seconds // 86400}d"


def on_terminal() -> bool:
    """Whether standard output is a terminal that shows colour, and colour is wanted (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and Console().color_system is not None


def terminal_width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns
