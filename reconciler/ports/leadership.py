"""Who may act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Leadership(Protocol):
    """The right to change what one owner has on one engine. One process has it at a time.

    ``waits`` says what a daemon does that does not get it: stand by until it does, or refuse to start. ``leader`` is who has
    it, as far as is known; empty for nobody. ``identity`` is the name of this process among those that want it.
    """

    waits: bool
    identity: str

    @property
    def leader(self) -> str:
        """Who has it, as of the last look."""
        ...

    def attempt(self) -> bool:
        """Take it if it can be had now; whether it was taken. While standing by it is called again, `patience_s` later.

        Raises:
            EngineError: who has it cannot be found out.
        """
        ...

    @property
    def patience_s(self) -> float:
        """How long to wait before the next attempt."""
        ...

    def acquire(self) -> None:
        """Take it for a command that acts once.

        Raises:
            LockedError: somebody else has it; the message says who.
            EngineError: who has it cannot be found out.
            RequirementError: it can never be had here.
        """
        ...

    def is_held(self) -> bool:
        """Whether this process may act at this instant. Nobody else may before this has said no for a while."""
        ...

    def when_lost(self, tell: Callable[[str], None]) -> None:
        """``tell`` is called once, from any thread, when another process has it for certain; the argument says why."""
        ...

    def when_asked(self, tell: Callable[[], None]) -> None:
        """``tell`` is called, from any thread, when one that stands by asks for a look at the repositories (`pass_on`)."""
        ...

    def pass_on(self) -> None:
        """Standing by: ask whoever leads to look at the repositories.

        Raises:
            EngineError: it is not known whether they will hear.
        """
        ...

    def restore(self) -> bool:
        """Take it anew if what stands for it on this machine was removed; whether that was needed. Called now and then.

        Raises:
            RequirementError: it cannot be taken anew now.
        """
        ...

    def release(self) -> None:
        """Give it back, so that another can have it at once; nothing when it is not held. Nothing may act any more."""
        ...
