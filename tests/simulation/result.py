"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodeexec.simulated.faults import Fault


@dataclass(slots=True, kw_only=True)
class Result:
    """``points`` are the labels of the points passed before faults end: places for faults. ``begun`` are the numbers of points passed
    when each event of the history began. ``trace`` is the digest of all that happened, where somebody asked for it.
    """

    seed: int
    fault: Fault | None
    points: tuple[str, ...] = ()
    begun: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    crashes: int = 0
    trace: str = ""

    def __str__(self) -> str:
        lines = "".join(f"\n  {violation}" for violation in self.violations)
        return f"seed {self.seed} fault {self.fault or 'none'}: {len(self.violations)} violations{lines}"
