"""``gitvirt logs``: what a VM wrote to its serial console."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

import typer

from reconciler import wiring_ask
from reconciler.cli.invocation import examples, invocation, tell_note
from reconciler.cli.options import Namespace, read_since, vm_arguments
from reconciler.daemon.console_log import ConsoleLog
from reconciler.model.console_text import ConsoleText

_PAUSE_S = 0.3


class LogFormat(StrEnum):
    """``raw`` is what the guest wrote, byte for byte; never send it to a terminal that matters."""

    TEXT = "text"
    JSON = "json"
    RAW = "raw"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt logs --vm prod/web",
            "gitvirt logs --vm web -f --tail 20",
            "gitvirt logs --vm web -o raw > console.txt",
        )
    )(logs)


def logs(
    context: typer.Context,
    vm: Annotated[str, typer.Option("--vm", metavar="[NAMESPACE/]VM", help="The virtual machine.")],
    namespace: Namespace = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, metavar="N", help="Only the last N lines.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Leave out rotated files last written before; lines have no times."
        ),
    ] = None,
    output: Annotated[LogFormat, typer.Option("--output", "-o", help="How to write it.")] = LogFormat.TEXT,
) -> None:
    """Show what a VM wrote to its serial console.

    Rotated files come first. Escape sequences and control characters are taken out. What gitvirt itself did is told by `gitvirt events`.
    """
    named = vm_arguments(vm, namespace)
    log = wiring_ask.console_log(invocation(context).settings, **named)
    if not log.path.exists():
        tell_note(f"there is no {log.path} yet: the VM was never started by gitvirt, or has another name")
        if not follow:
            raise typer.Exit(1)
    try:
        pieces = _pieces(log, since, follow)
        match output:
            case LogFormat.RAW:
                _write_raw(pieces)
            case LogFormat.JSON:
                for line in _lines(pieces, tail):
                    typer.echo(json.dumps({"vm": log.path.stem, "line": line}))
            case _:
                _write_text(pieces, tail)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        log.close()


def _pieces(log: ConsoleLog, since: str | None, follow: bool) -> Iterator[bytes]:
    """Bytes as they come; an empty piece says that all there was is told and it may take a while."""
    yield from log.past(read_since(since))
    yield b""
    while follow:
        time.sleep(_PAUSE_S)
        yield from log.more()
        yield b""


def _write_raw(pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        typer.echo(piece, nl=False)


def _write_text(pieces: Iterable[bytes], tail: int | None) -> None:
    """Text as it comes, a line that has not ended too: a login prompt has no line feed."""
    cleaner, ended, past = ConsoleText(), True, deque[str](maxlen=tail)
    is_past = tail is not None
    rest = ""
    for piece in pieces:
        text = cleaner.feed(piece)
        if is_past:
            *lines, rest = (rest + text).split("\n")
            past.extend(f"{line}\n" for line in lines)
            if piece:
                continue
            past.extend(filter(None, (rest,)))
            is_past, text = False, "".join(past)
        if text:
            typer.echo(text, nl=False)
            ended = text.endswith("\n")
    if (text := cleaner.end()) or not ended:
        typer.echo(text)


def _lines(pieces: Iterable[bytes], tail: int | None) -> Iterator[str]:
    """Whole lines; the last one as well if it has not ended."""
    cleaner, past, rest = ConsoleText(), deque[str](maxlen=tail), ""
    is_past = True
    for piece in pieces:
        *lines, rest = (rest + cleaner.feed(piece)).split("\n")
        if is_past:
            past.extend(lines)
            lines = [] if piece else list(past)
            is_past = bool(piece)
        yield from lines
    if rest := rest + cleaner.end():
        yield rest
