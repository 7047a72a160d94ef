"""One measured figure and the bound it is held against."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Medians of several runs, in seconds; ``aim`` is the ratio the project promises itself."""

    what: str
    bound: str
    measured: tuple[float, ...]
    bounds: tuple[float, ...]
    aim: float

    @property
    def measured_s(self) -> float:
        return statistics.median(self.measured)

    @property
    def bound_s(self) -> float:
        return statistics.median(self.bounds)

    @property
    def ratio(self) -> float:
        return self.measured_s / self.bound_s

    def to_dict(self) -> dict[str, object]:
        return {
            "what": self.what,
            "bound": self.bound,
            "measured_s": list(self.measured),
            "bound_s": list(self.bounds),
            "ratio": round(self.ratio, 3),
            "aim": self.aim,
        }
