"""Every annotation of gitvirt's own, so that a slip in one is told and not ignored."""

from __future__ import annotations

PREFIX = "gitvirt.io/"

ANNOTATIONS = frozenset(
    f"{PREFIX}{name}" for name in ("restart-policy", "prune", "mode", "fresh-disk", "checksum", "adopt")
)
"""What manifests may say."""

WRITTEN = frozenset(f"{PREFIX}{name}" for name in ("owner", "revision", "source", "suspended"))
"""What gitvirt writes on live objects itself; in a manifest it means nothing."""
