"""`make bench`: each figure beside its own lower bound, measured in the same run. Prints a table and writes JSON.

python -m bench [NAME …]
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import idle_daemon, libvirt_domains, ten_vms
from bench.figure import Figure

BENCHES = {
    "ten-vms": ten_vms.measure,
    "libvirt": libvirt_domains.measure,
    "idle": idle_daemon.measure,
}
RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench named {', '.join(unknown)}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or list(BENCHES):
        print(f"==> {name}", flush=True)
        figures += BENCHES[name]()
    table = Table("what", "gitvirt", "bound", "what the bound is", "ratio", "aim")
    for figure in figures:
        table.add_row(
            figure.what,
            f"{figure.measured_s:.2f} s",
            f"{figure.bound_s:.2f} s",
            figure.bound,
            f"{figure.ratio:.2f}×",
            f"≤ {figure.aim:.2f}×",
        )
    Console(width=140).print(table)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps([figure.to_dict() for figure in figures], indent=2) + "\n")
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
