"""How long to leave a remote alone that did not answer."""

from __future__ import annotations

import random
from collections.abc import Callable

_FIRST_S = 15.0
_LONGEST_S = 600.0
_LEAST_SHARE = 0.5


class BackOff:
    """Doubles with each failure in a row, up to ten minutes. A random part of up to a half is taken off, so that hosts which lost
    a server together do not come back to it together. Kept in memory: a restart tries at once.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """``monotonic`` gives seconds that never go back."""
        self._monotonic = monotonic
        self._failures = 0
        self._until_s = 0.0

    def note(self, *, failed: bool) -> None:
        """How the last try went."""
        self._failures = self._failures + 1 if failed else 0
        # The exponent is bounded, so that years of failures do not overflow.
        delay_s = min(_FIRST_S * 2.0 ** min(self._failures - 1, 16), _LONGEST_S) if failed else 0.0
        share = random.uniform(_LEAST_SHARE, 1.0)  # noqa: S311  (spreads load; nothing secret)
        self._until_s = self._monotonic() + delay_s * share

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    def left_s(self) -> float:
        """Seconds until then; none when it is due."""
        return max(0.0, self._until_s - self._monotonic())

    def is_due(self) -> bool:
        """Whether to try again by oneself."""
        return self._monotonic() >= self._until_s
