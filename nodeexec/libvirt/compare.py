"""`Engine.compare` of the libvirt engine."""

from __future__ import annotations

from nodeexec.spec_difference import compare

__all__ = ["compare"]
