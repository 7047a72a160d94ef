"""What the contract suite needs besides an engine: the world around it, where guests act, people meddle and time passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveNetwork, LiveObject, LiveVm, LiveVolume, Observation
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change
from reconciler.model.power import PowerStep
from reconciler.model.resolved import Resolved
from reconciler.ports import Engine
from tests.contract.builders import Site, delete, update


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """In what a world's engine is by design another than one that runs its guests itself (ADR 27, ADR 30). Where a trait is
    missing a test asserts what the platform promises instead; ``absent`` says of features that are not there at all, why.
    """

    unplugs: bool = True
    """Guests give devices back when asked. Boot sectors do not: they have no kernel."""
    plugs: bool = True
    """Devices are plugged into running guests. Which ones are, and which wait for a restart, is a platform's to say; it is told before."""
    runs_guests: bool = True
    """The engine starts guests, ends them and remembers why. A platform carries the run strategy out; it is asked for a stop
    or a restart, and of a guest whose instance is gone nobody says why.
    """
    fills_volumes: bool = True
    """The engine imports and clones, is at it until it is done, and gives up. A platform's volume is made at once and fills itself."""
    moves_trash: bool = True
    """A volume in the trash leaves its name to another. A label leaves it where it is."""
    takes_over: bool = True
    """What somebody wrote is written over. On a cluster it is a conflict that names who, until ``forceConflicts``."""
    mirrors_spec: bool = True
    """Live halves are whole specs. A platform's are its documents, with a small projection beside them."""
    marks_outlive_volumes: bool = True
    """What was last applied is known of a volume that is gone. A cluster's register has its name, and when it was made."""
    absent: Mapping[str, str] = field(default_factory=dict)


class World(Protocol):
    """One host with one engine, and the hands and guests that are not gitvirt's."""

    site: Site
    traits: Traits

    @property
    def engine(self) -> Engine:
        """What is under test."""
        ...

    def bridge(self, number: int) -> str:
        """The name of a bridge that is this test's own."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Time passes, and background work goes on."""
        ...

    def settle(self) -> None:
        """What others do by themselves, without time passing, is done, and the engine has seen it."""
        ...

    def runs(self, key: ObjectKey) -> int:
        """How often a VM's guest was started."""
        ...

    def publish(self, guest: str) -> str:
        """An URL with the image of a guest: ``polite`` honours the power button, ``deaf`` does not, ``brief`` powers
        itself off after a few seconds.
        """
        ...

    def publish_slowly(self, guest: str) -> str:
        """The same image from a server that sends it when time has passed."""
        ...

    def write(self, key: ObjectKey, pattern: int) -> None:
        """Write a byte over the first 64 KiB of a claim's volume that no guest has open."""
        ...

    def reads(self, key: ObjectKey, pattern: int) -> bool:
        """Whether the first 64 KiB of a volume are that byte."""
        ...

    def destroy(self, key: ObjectKey) -> None:
        """Somebody pulls a guest's plug."""
        ...

    def kill(self, key: ObjectKey) -> None:
        """A guest's hypervisor process dies."""
        ...

    def edit_memory(self, key: ObjectKey, mib: int) -> None:
        """Somebody edits the stored memory of a domain."""
        ...

    def undefine(self, key: ObjectKey) -> None:
        """Somebody undefines a domain that is off."""
        ...

    def volume_names(self) -> tuple[str, ...]:
        """Names of the volumes in the default pool, sorted."""
        ...

    def spoil_network(self, key: ObjectKey) -> None:
        """Somebody stops a network, or rewrites it where networks do not run."""
        ...

    def make_foreign_vm(self, name: str) -> ObjectKey:
        """Somebody defines a domain by hand, under a name that gitvirt would give."""
        ...

    def own_name(self, key: ObjectKey) -> str:
        """The hypervisor's or the platform's own name for a VM."""
        ...

    def snapshot_of(self, key: ObjectKey) -> str:
        """All there is to say about a domain: equal texts mean that nobody touched it."""
        ...

    def lose(self, key: ObjectKey) -> Callable[[], None]:
        """Somebody removes a claim's volume by hand; the answer puts it back."""
        ...

    def darken_pool(self) -> Callable[[], None]:
        """The default pool cannot be read any more; the answer makes it readable again."""
        ...


def look(world: World, key: ObjectKey) -> LiveObject | None:
    """The live object under ``key``, with nothing unreadable."""
    world.settle()
    observation = world.engine.observe([key])
    assert not observation.is_unknown(key), observation.unreadable
    return observation.objects.get(key)


def look_vm(world: World, key: ObjectKey) -> LiveVm:
    """A VM that is there."""
    live = look(world, key)
    assert isinstance(live, LiveVm)
    return live


def look_volume(world: World, key: ObjectKey) -> LiveVolume:
    """A volume that is there."""
    live = look(world, key)
    assert isinstance(live, LiveVolume)
    return live


def look_network(world: World, key: ObjectKey) -> LiveNetwork:
    """A network that is there."""
    live = look(world, key)
    assert isinstance(live, LiveNetwork)
    return live


def everything(world: World) -> Observation:
    """All that is owned."""
    world.settle()
    return world.engine.observe(None)


def start_step(world: World) -> PowerStep | None:
    """What planning has an engine do for a VM that is to run always: nothing, where a platform starts it by itself."""
    return PowerStep.START if world.traits.runs_guests else None


def take_away(world: World, key: ObjectKey, *, limit_s: float = 60.0) -> list[Outcome]:
    """Delete an object as the cycle does, until it is gone; all outcomes. Who runs guests says itself when it is done.

    Raises:
        AssertionError: it was refused, or is still there after ``limit_s``.
    """
    outcomes: list[Outcome] = []
    passed = 0.0
    while passed <= limit_s:
        live = look(world, key)
        if live is None:
            assert not world.traits.runs_guests or outcomes[-1].result is Result.APPLIED, outcomes[-3:]
            return outcomes
        outcome = world.engine.apply(delete(live))
        assert outcome.result in (Result.APPLIED, Result.PROGRESSING, Result.RETRY, Result.CONFLICT), outcome
        outcomes.append(outcome)
        if outcome.result is not Result.APPLIED:
            step = min(outcome.retry_after_s or 0.5, 1.0)
            world.pass_time(step)
            passed += step
    raise AssertionError(f"{key} was not gone after {limit_s} s: {outcomes[-3:]}")


def put_right(world: World, wanted: Resolved, live: LiveObject) -> bool:
    """Correct what somebody edited. Where that is by default not written over, the answer is False, and it was told whose it is."""
    outcome = world.engine.apply(update(wanted, live))
    if world.traits.takes_over:
        assert outcome.result is Result.APPLIED, outcome
        return True
    assert outcome.result is Result.FAILED
    assert "kubectl-edit" in outcome.reason
    assert outcome.steps == ()
    assert look(world, wanted.key) == live
    return False


def carry_out(
    world: World, key: ObjectKey, make: Callable[[LiveObject | None], Change], *, limit_s: float = 60.0
) -> list[Outcome]:
    """Observe, plan and apply as the cycle does, until the engine says that it is done; all outcomes.

    Raises:
        AssertionError: it was not done within ``limit_s``.
    """
    outcomes: list[Outcome] = []
    passed = 0.0
    while passed <= limit_s:
        outcome = world.engine.apply(make(look(world, key)))
        outcomes.append(outcome)
        if outcome.result not in (Result.PROGRESSING, Result.RETRY, Result.CONFLICT):
            assert outcome.result in (Result.APPLIED, Result.UNCHANGED), outcome
            return outcomes
        step = min(outcome.retry_after_s or 0.5, 1.0)
        world.pass_time(step)
        passed += step
    raise AssertionError(f"{key} was not done after {limit_s} s: {outcomes[-3:]}")


def wait_until(world: World, true: Callable[[], bool], *, limit_s: float = 30.0) -> None:
    """Let time pass until something is true.

    Raises:
        AssertionError: it did not come true within ``limit_s``.
    """
    passed = 0.0
    while not true():
        assert passed < limit_s, f"did not come true within {limit_s} s"
        world.pass_time(0.5)
        passed += 0.5
