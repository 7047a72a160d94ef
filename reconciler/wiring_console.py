"""The part of the composition root for `gitvirt console`: an engine and nothing else, loaded when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.model.keys import ObjectKey
from reconciler.ports import Console
from reconciler.settings import Settings


@contextmanager
def consoles(settings: Settings, namespace: str, name: str) -> Iterator[Callable[[bool], Console | None]]:
    """A way to open the console of a VM of this host, again after it stopped and started. It takes whether to end somebody
    else's session; each answer is a session, None while the guest is off.

    Raises:
        RequirementError: the engine's library is missing.
    """
    from reconciler.daemon.clock import SystemClock
    from reconciler.daemon.threads import ThreadWorkers
    from reconciler.wiring import keep_quiet
    from reconciler.wiring_engines import engine_choice

    keep_quiet()
    engine = engine_choice(settings).open(settings, SystemClock(), ThreadWorkers(1))
    key = ObjectKey("VirtualMachine", namespace or settings.policy.default_namespace, name)
    try:
        yield lambda take_over: engine.console(key, take_over=take_over)
    finally:
        engine.close()
