"""Readiness while cycles run, fail, and do not end."""

from __future__ import annotations

from reconciler.web.health import LONG_CYCLE_S, Health


class Watch:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_cycle_that_does_not_end_is_not_ready_until_it_does() -> None:
    watch = Watch()
    health = Health(is_alive=lambda: True, monotonic=watch)
    assert health.ready() == (False, "no cycle has ended yet")
    health.cycle_ended()
    health.cycle_began()
    watch.now = LONG_CYCLE_S - 1
    assert health.ready() == (True, "ok")
    watch.now = LONG_CYCLE_S + 30
    good, said = health.ready()
    assert not good
    assert "a cycle has been under way for 90 s" in said
    assert health.alive() == (True, "ok")
    health.cycle_ended()
    assert health.ready() == (True, "ok")


def test_the_fault_of_the_last_cycle_is_what_is_told() -> None:
    health = Health(is_alive=lambda: True, monotonic=Watch())
    health.cycle_ended("libvirt cannot be reached")
    assert health.ready() == (False, "libvirt cannot be reached")
