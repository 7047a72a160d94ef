"""One measured figure and its bound."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What gitvirt took and what the bound took, in ``unit``, round by round, measured in one run. ``bound`` says what the
    bound is, in words; ``aim`` is the ratio (gitvirt to bound) that is good enough.
    """

    what: str
    bound: str
    measured: tuple[float, ...]
    bounds: tuple[float, ...]
    aim: float
    unit: str = "s"

    @property
    def typical(self) -> float:
        """The median round."""
        return statistics.median(self.measured)

    @property
    def typical_bound(self) -> float:
        """The median round of the bound."""
        return statistics.median(self.bounds)

    @property
    def ratio(self) -> float:
        """How gitvirt compares; below 1 is better than the bound."""
        return self.typical / self.typical_bound

    @property
    def reached(self) -> bool:
        """Whether the aim is."""
        return self.ratio <= self.aim

    def to_dict(self) -> dict[str, object]:
        """The shape of the JSON that `make bench` writes."""
        return {
            "what": self.what,
            "bound": self.bound,
            "unit": self.unit,
            "measured": list(self.measured),
            "bound_measured": list(self.bounds),
            "ratio": round(self.ratio, 4),
            "aim": self.aim,
            "reached": self.reached,
        }


def shown(value: float, unit: str) -> str:
    """A value with its unit, three digits of it."""
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
