"""`make bench`: each figure beside its own bound, measured in the same run. Prints a table and writes JSON.

python -m bench [NAME …]

A new figure is one module with a function that gives `Figure` values, and a line in `BENCHES`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figure import Figure, shown

BENCHES = {
    "load": "bench.load:measure",
    "plan": "bench.planning:measure",
    "ten-vms": "bench.ten_vms:measure",
    "libvirt": "bench.libvirt_domains:measure",
    "idle": "bench.idle_daemon:measure",
    "remote": "bench.remote:measure",
}
LONG = {
    "load-100k": "bench.load:measure_large",
    "plan-100k": "bench.planning:measure_large",
    "cluster": "bench.cluster:measure",
}
"""What takes many minutes is measured when it is named."""

RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> int:
    """Measure what is named, or all that does not take long."""
    every = BENCHES | LONG
    if unknown := [name for name in names if name not in every]:
        print(f"no bench named {', '.join(unknown)}; there are: {', '.join(every)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or BENCHES:
        print(f"==> {name}", flush=True)
        module, _, function = every[name].partition(":")
        measure: Callable[[], list[Figure]] = getattr(import_module(module), function)
        figures += measure()
    Console(width=140).print(_table(figures))
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps([figure.to_dict() for figure in figures], indent=2) + "\n")
    print(f"written to {target}")
    return 0


def _table(figures: list[Figure]) -> Table:
    table = Table("what", "gitvirt", "bound", "what the bound is", "ratio", "aim")
    for figure in figures:
        table.add_row(
            figure.what,
            shown(figure.typical, figure.unit),
            shown(figure.typical_bound, figure.unit),
            figure.bound,
            f"{figure.ratio:.2f}×",
            f"≤ {figure.aim:.2f}×",
            style=None if figure.reached else "bold red",
        )
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
