"""`make demo`: a scripted story on real VMs that ends by itself, with evidence at each step. Exit 0 means all of it held.

    python -m demo.story [--keep]

Everything it makes belongs to the owner ``gitvirt-story`` and is removed at the end (also after a failure), unless
``--keep`` is given.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import scenes
from demo.stage import Stage, StoryError, say


def main(arguments: list[str]) -> int:
    cache = Path(os.environ.get("GITVIRT_CACHE", Path.home() / ".cache/gitvirt"))
    image = cache / "demo-guest.qcow2"
    if not image.exists():
        print(f"{image} is missing; `make guest` builds it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="gitvirt-story-") as directory:
        stage = Stage(Path(directory), image)
        try:
            stage.open()
            for number, scene in enumerate(scenes.STORY, start=1):
                say(f"\n=== {number}. {(scene.__doc__ or '').splitlines()[0]}")
                scene(stage)
        except (StoryError, subprocess.SubprocessError) as failure:
            say(f"\nFAILED: {failure}")
            stage.show_log()
            return 1
        finally:
            stage.close(keep="--keep" in arguments)
    say("\nThe story ends well: every step did what it said.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
