"""Programs that an engine runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program the engine runs, and the Debian package that brings it."""

    name: str
    package: str
    optional: bool = False
