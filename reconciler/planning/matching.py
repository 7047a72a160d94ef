"""What matching an existing VM with a manifest comes to."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.adoption import Adoption
from reconciler.model.resolved import ResolvedVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """``adoption`` maps the domain to the manifest; ``claims`` are the volumes that become gitvirt's with it."""

    adoption: Adoption
    claims: tuple[ResolvedVolume, ...]
    obstacles: tuple[str, ...]
