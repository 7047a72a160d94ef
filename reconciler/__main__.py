"""``python -m reconciler`` is ``gitvirt``."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The command line. What a shell asks while somebody types does without most of it. Ctrl-C while it is still being loaded
    ends it without a word: nothing was begun.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["__names"]:
        from reconciler.cli.names import main as name

        name(sys.argv[2:])
        return
    from reconciler.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
