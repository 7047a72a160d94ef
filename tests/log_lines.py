"""The log of a daemon that still writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def log_lines(log: Path) -> list[dict[str, Any]]:
    """What was told so far, of a log in JSON. The last line may be half there; lines of others (a traceback) are left out."""
    whole = log.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
