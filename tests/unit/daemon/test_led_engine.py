"""An engine whose process does not lead looks, and acts not at all."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from reconciler.daemon.led_engine import _LedEngine, led_engine, why_it_does_not_act
from reconciler.model.outcome import Result
from reconciler.ports import Engine

LOOKS = {
    "check", "observe", "outdated", "compare", "survey", "survey_object", "as_adopted", "console", "describe", "document_of", "events", "close"
}  # fmt: skip
ACTS = {
    name: len([one for one in inspect.signature(method).parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD])
    - 1
    for name, method in inspect.getmembers(Engine, inspect.isfunction)
    if not name.startswith("_") and name not in LOOKS
}
NAMED: dict[str, dict[str, Any]] = {
    "mark": {"override": None, "suspended": "", "suspended_until": None},
}


class Recorder:
    """Stands in for an engine and for a leadership."""

    waits, identity, leader = True, "own", ""

    def __init__(self) -> None:
        self.held = False
        self.called: list[str] = []

    def is_held(self) -> bool:
        return self.held

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.called.append(name)


@pytest.mark.parametrize("name", sorted(ACTS))
def test_what_acts_asks_first(name: str) -> None:
    engine = Recorder()
    led: Any = led_engine(engine, engine)
    act, arguments = getattr(led, name), [None] * ACTS[name]
    outcome = act(*arguments, **NAMED.get(name, {}))
    assert outcome.result is Result.RETRY
    assert "does not lead" in outcome.reason
    assert engine.called == []
    engine.held = True
    act(*arguments, **NAMED.get(name, {}))
    assert engine.called == [name]


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_what_looks_is_the_engines_own(name: str) -> None:
    engine = Recorder()
    getattr(led_engine(engine, engine), name)()
    assert engine.called == [name]
    assert not hasattr(_LedEngine, name)


def test_whoever_asks_is_told_that_nothing_is_done() -> None:
    engine: Any = Recorder()
    led = led_engine(engine, engine)
    assert "may not act at the moment" in why_it_does_not_act(led)
    engine.held = True
    assert why_it_does_not_act(led) == ""
    assert why_it_does_not_act(engine) == ""
