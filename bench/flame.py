"""`make flame`: a flame graph (SVG) that explains a figure of `bench.load`.

python -m bench.flame [cold|restart|change] [VMs]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.corpus import Corpus, build, follow

RESULTS = Path(__file__).parent / "results"
SAMPLES_A_SECOND = 500
MODES = {"cold": "load", "restart": "load", "change": "change"}


def main(arguments: list[str]) -> int:
    """Measure once under the profiler."""
    figure = arguments[0] if arguments else "cold"
    count = int(arguments[1]) if len(arguments) > 1 else 5_000
    if figure not in MODES:
        print(f"no figure named {figure}; there are: {', '.join(MODES)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"flame-{figure}-{count}.svg"
    with tempfile.TemporaryDirectory(prefix="gitvirt-flame-") as name:
        repository, state = build(Corpus(count=count), Path(name)), Path(name) / "state"
        state.mkdir(mode=0o700)
        follow(repository, state).fetch()
        once = [sys.executable, "-m", "bench.load_once"]
        if figure != "cold":
            subprocess.run([*once, "load", str(repository), str(state)], check=True, stdout=subprocess.DEVNULL)
        spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
        recorder = [spy, "record", "--format", "flamegraph", "--rate", str(SAMPLES_A_SECOND), "--output", str(target)]
        subprocess.run([*recorder, "--", *once, MODES[figure], str(repository), str(state)], check=True)
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
