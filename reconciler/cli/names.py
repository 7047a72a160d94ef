"""``gitvirt __names WHAT [SETTINGS]``: names for a shell to complete, one a line, within a fraction of a second.

It loads neither the settings nor the command line, and says nothing where there is no daemon or it may not be asked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from reconciler.cli.standard_streams import guarded_streams
from reconciler.daemon.control_client import ask
from reconciler.model.errors import GitvirtError, OutputError
from reconciler.model.plain_text import is_plain

SETTINGS = Path("/etc/gitvirt/settings.yaml")
RUNTIME_DIRECTORY = Path("/run/gitvirt")
TIMEOUT_S = 2.0

_RUNTIME = re.compile(r"^runtimeDirectory:[ \t]*[\"']?([^\"'#\s]+)", re.MULTILINE)


def main(arguments: Sequence[str]) -> None:
    """Print the names of one kind."""
    what = arguments[0] if arguments else "vm"
    named = arguments[1] if len(arguments) > 1 else os.environ.get("GITVIRT_SETTINGS", "")
    with guarded_streams(), suppress(OutputError):
        for name in names(what, Path(named) if named else SETTINGS):
            if is_plain(name) and " " not in name:
                print(name)
        sys.stdout.flush()


def names(what: str, settings: Path) -> Sequence[str]:
    """What the daemon of these settings knows; nothing where none answers in time."""
    try:
        answer = ask(_runtime_directory(settings) / "control.sock", "names", {"what": what}, timeout_s=TIMEOUT_S)
    except (GitvirtError, OSError):
        return ()
    return [str(name) for name in answer.get("names", ())] if answer else ()


def _runtime_directory(settings: Path) -> Path:
    """The one line of the settings that matters here."""
    try:
        found = _RUNTIME.search(settings.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return Path(found[1]) if found else RUNTIME_DIRECTORY
