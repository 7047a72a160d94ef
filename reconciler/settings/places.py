"""Where an ordinary user's gitvirt keeps its things: below the home directory, as XDG says.

*Source*: XDG Base Directory Specification.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SESSION = "/session"
"""How the URI of a libvirt of an ordinary user ends (``qemu:///session``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPlaces:
    """One user's directories. ``settings`` and ``key`` are files."""

    settings: Path
    key: Path
    state: Path
    runtime: Path
    images: Path
    consoles: Path


def user_places(environment: Mapping[str, str] = os.environ) -> UserPlaces:
    """Those of the user who runs this."""
    home = Path(environment.get("HOME") or Path.home())

    def base(variable: str, usual: str) -> Path:
        said = environment.get(variable, "")
        return (Path(said) if said.startswith("/") else home / usual) / "gitvirt"

    config, state = base("XDG_CONFIG_HOME", ".config"), base("XDG_STATE_HOME", ".local/state")
    return UserPlaces(
        settings=config / "settings.yaml",
        key=config / "key",
        state=state / "state",
        # Without a session of the system's own there is no runtime directory; what lies there may be lost at a reboot.
        runtime=base("XDG_RUNTIME_DIR", ".cache"),
        images=base("XDG_DATA_HOME", ".local/share") / "images",
        consoles=state / "consoles",
    )


def is_session(body: Mapping[str, Any]) -> bool:
    """Whether the settings name a libvirt of an ordinary user."""
    options = (body.get("engine") or {}).get("libvirt") or {}
    return str(options.get("uri", "")).partition("?")[0].endswith(SESSION)
