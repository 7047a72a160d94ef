"""Durations as people write them: ``30s``, ``5m``, ``1h30m``, ``7d``."""

from __future__ import annotations

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_LONGEST_S = 3650 * 86400.0


def parse_duration_s(text: str) -> float:
    """``90s``, ``1h30m``, ``500ms`` or ``7d`` in seconds.

    Raises:
        ValueError: not a duration, or longer than ten years.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write for instance 30s, 5m, 1h30m or 7d")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration_s` reads back: 5400 → ``1h30m``."""
    rest_ms = round(seconds * 1000)
    text = ""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest_ms = divmod(rest_ms, size_ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
