"""Work with a server within its time, and what went wrong in it as an error that names the server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from reconciler.model.plain_text import one_line
from reconciler.source.errors import CredentialError, NotGivenError, ServerError, UnreachableError

T = TypeVar("T")

_NOT_GIVEN = "not our ref"


def within(runner: asyncio.Runner, shown: str, limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Do it in the loop of ``runner``. ``shown`` is the server's URL without credentials.

    Raises:
        UnreachableError: it took too long, or the way to the server or the server itself has a fault.
    """

    async def bounded() -> T:
        async with asyncio.timeout(limit_s):
            return await work

    try:
        return runner.run(bounded())
    except TimeoutError as fault:
        raise UnreachableError(f"{shown} took longer than the {limit_s:g} s allowed and was given up") from fault
    except CredentialError:
        raise
    except ServerError as fault:
        said = f"{shown} says: {one_line(str(fault), 200)}"
        raise (NotGivenError if _NOT_GIVEN in str(fault) else UnreachableError)(said) from fault
    except UnreachableError as fault:
        raise type(fault)(f"{shown}: {fault}") from fault
