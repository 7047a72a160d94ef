"""Every annotation of gitvirt's own, so that a slip in one is told and not ignored."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "gitvirt.io/"

ANNOTATIONS = frozenset(
    f"{PREFIX}{name}"
    for name in ("restart-policy", "restart-window", "prune", "mode", "fresh-disk", "checksum", "adopt", "sync-wave")
)
"""What manifests may say."""

WRITTEN = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "owner",
        "revision",
        "source",
        "key",
        "suspended",
        "trash",
        "trash-age",
        "tracking",
        "adopted",
        "applied",
        "override",
        "stopping",
        "restarted-at",
        "look-asked",
        "disks",
    )
)
"""What gitvirt writes on live objects itself; in a manifest it means nothing."""

VALUES: Mapping[str, tuple[str, ...]] = {
    f"{PREFIX}prune": ("true", "false", "confirm"),
    f"{PREFIX}mode": ("report", "enforce"),
}
"""Annotations with few values, and all of them: another one is a slip that must not pass for none."""
