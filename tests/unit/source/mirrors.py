"""What a source is given to follow, and where its mirror is."""

from __future__ import annotations

from pathlib import Path

WEB = {"vms/web.yaml": "kind: VirtualMachine\n", "net/lan.yml": "a: 1\n", "README.md": "read me\n"}


def mirror_of(state: Path) -> Path:
    return next(path for path in (state / "source").iterdir() if path.is_symlink()).resolve()
