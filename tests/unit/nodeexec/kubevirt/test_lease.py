"""Who may act when: at most one at any instant, whatever the clocks and the network do, and soon somebody again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.client import Configuration

from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import Request, UnreachableError
from nodeexec.kubevirt.leadership import LeaseLeadership
from nodeexec.kubevirt.lease import Lease, LeaseTimes
from reconciler.model.errors import EngineError, LockedError
from reconciler.model.outcome import Result
from tests.unit.daemon.parts import eventually
from tests.unit.nodeexec.kubevirt.leases import Road, StoredLease

TIMES = LeaseTimes()
SHORT = LeaseTimes(duration_s=1, act_s=0.6, renew_s=0.1, look_s=0.05)


class World:
    """True time, one Lease, and replicas with clocks of their own."""

    def __init__(self) -> None:
        self.true_s = 0.0
        self.stored = StoredLease()
        self.faults: list[str | float] = []

    def pass_s(self, seconds: float) -> None:
        self.true_s += seconds

    def replica(
        self, name: str, *, ahead_s: float = 0.0, rate: float = 1.0, wall_ahead: timedelta = timedelta()
    ) -> Lease:
        """``ahead_s`` and ``rate`` are of its steady clock, ``wall_ahead`` of its time of day."""
        return Lease(
            Road(self.stored, lambda: self.faults.pop(0) if self.faults else "", self.pass_s),
            identity=name,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.true_s) + wall_ahead,
            elapsed=lambda: ahead_s + self.true_s * rate,
        )


def turn(replica: Lease, leads: bool) -> bool:
    """What a replica's thread does; whether it leads afterwards."""
    try:
        if not leads:
            return replica.attempt()
        replica.renew()
    except EngineError:
        return leads
    return not replica.lost


FAULTS = st.sampled_from(["", "", "", "unsent", "unanswered", 0.4, 1.9])


@settings(max_examples=150, deadline=None)
@given(
    clocks=st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0.9, 1.15), st.integers(-100_000, 100_000)), min_size=3, max_size=3
    ),
    turns=st.lists(
        st.tuples(st.integers(0, 2), st.floats(0, 9), st.lists(FAULTS, max_size=3)), min_size=10, max_size=60
    ),
)
def test_never_two_act_at_once_and_one_does_in_the_end(
    clocks: list[tuple[float, float, int]], turns: list[tuple[int, float, list[str | float]]]
) -> None:
    world = World()
    replicas = [
        world.replica(str(number), ahead_s=ahead_s, rate=rate, wall_ahead=timedelta(seconds=wall_s))
        for number, (ahead_s, rate, wall_s) in enumerate(clocks)
    ]
    leading = [False] * 3
    for who, pause_s, faults in turns:
        world.pass_s(pause_s)
        world.faults = list(faults)
        if not replicas[who].lost:
            leading[who] = turn(replicas[who], leading[who])
        assert sum(replica.is_held() for replica in replicas) <= 1
    world.faults = []
    left = [number for number in range(3) if not replicas[number].lost]
    for _ in range(60 if left else 0):
        world.pass_s(1.0)
        for who in left:
            if not replicas[who].lost:
                leading[who] = turn(replicas[who], leading[who])
        assert sum(replica.is_held() for replica in replicas) <= 1
    assert not left or sum(replica.is_held() for replica in replicas if not replica.lost) == 1


@pytest.mark.parametrize("wall_ahead", [timedelta(hours=-7), timedelta(), timedelta(days=300)])
def test_a_dead_holder_is_followed_after_its_time_whatever_time_of_day_it_is(wall_ahead: timedelta) -> None:
    world = World()
    first, second = world.replica("first"), world.replica("second", wall_ahead=wall_ahead)
    assert first.attempt()
    world.pass_s(100)
    assert not first.is_held()
    assert not second.attempt()
    assert second.leader == "first"
    world.pass_s(TIMES.duration_s - 0.1)
    assert not second.attempt()
    world.pass_s(0.2)
    assert second.attempt()
    assert second.is_held()
    assert world.stored.lease is not None
    assert world.stored.lease["spec"]["leaseTransitions"] == 1
    first.renew()
    assert first.lost == "second holds the Lease"
    assert not first.is_held()


def test_a_holder_acts_no_longer_than_its_time_and_goes_on_when_nobody_took_over() -> None:
    world = World()
    first = world.replica("first")
    assert first.attempt()
    world.pass_s(TIMES.act_s - 0.1)
    assert first.is_held()
    world.faults = ["unsent"]
    with pytest.raises(EngineError):
        first.renew()
    world.pass_s(0.2)
    assert not first.is_held()
    first.renew()
    assert first.is_held()
    assert not first.lost


def test_time_counts_from_before_a_renewal_was_sent() -> None:
    world = World()
    first = world.replica("first")
    world.faults = ["", 4.0]
    assert first.attempt()
    world.pass_s(TIMES.act_s - 8.0 - 0.1)
    assert first.is_held()
    world.pass_s(0.2)
    assert not first.is_held()


@pytest.mark.parametrize("fault", ["unanswered", "annotated"])
def test_a_renewal_that_meets_another_version_is_still_ours(fault: str) -> None:
    world = World()
    first = world.replica("first")
    assert first.attempt()
    if fault == "annotated":
        world.stored.annotate()
    else:
        world.faults = ["unanswered"]
        with pytest.raises(EngineError):
            first.renew()
    world.pass_s(5)
    first.renew()
    world.pass_s(TIMES.act_s - 0.1)
    assert first.is_held()
    assert world.stored.lease is not None
    assert ("annotations" in world.stored.lease["metadata"]) == (fault == "annotated")


def test_a_deleted_lease_is_lost_and_a_race_has_one_winner() -> None:
    world = World()
    first, second = world.replica("first"), world.replica("second")
    assert first.attempt()
    world.stored.lease = None
    first.renew()
    assert first.lost == "the Lease was deleted"
    assert second.attempt()

    world = World()
    third = world.replica("third")
    race = Racing(world.stored, lambda: world.replica("fourth").attempt())
    assert not Lease(race, identity="slow", now=lambda: datetime.now(UTC), elapsed=lambda: 0.0).attempt()
    assert not third.attempt()
    assert third.leader == "fourth"


class Racing(StoredLease):
    """Somebody else makes the Lease between our look and our write."""

    def __init__(self, stored: StoredLease, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._shared, self._meanwhile = stored, meanwhile

    def read(self) -> None:
        assert self._shared.read() is None
        self._meanwhile()

    def create(self, body: object) -> dict[str, object]:
        return dict(self._shared.create(body))


def test_what_is_given_back_is_free_at_once() -> None:
    world = World()
    first, second = world.replica("first"), world.replica("second")
    assert first.attempt()
    first.give_back()
    assert not first.is_held()
    assert second.attempt()


def leadership(
    stored: StoredLease,
    name: str,
    elapsed: Callable[[], float] = time.monotonic,
    faults: Callable[[], str] = lambda: "",
) -> LeaseLeadership:
    """With a thread whose pauses are real and short."""
    road = Road(stored, faults, lambda _: None)
    return LeaseLeadership(Lease(road, identity=name, now=lambda: datetime.now(UTC), elapsed=elapsed, times=SHORT))


def test_on_threads_it_is_kept_lost_and_told_once() -> None:
    stored, told, away, passed_s = StoredLease(), [], threading.Event(), [1000.0]
    unsent: list[str] = []

    def fault() -> str:
        if not away.is_set():
            return ""
        unsent.append("unsent")
        return unsent[-1]

    first = leadership(stored, "first", lambda: passed_s[0], fault)
    second = leadership(stored, "second", lambda: passed_s[0])
    first.when_lost(told.append)
    assert first.attempt()
    try:
        for _ in range(15):
            known = stored.writes
            eventually(lambda known=known: stored.writes > known)
            passed_s[0] += 0.1
            assert first.is_held()
            assert not second.attempt()
        with pytest.raises(LockedError, match="leads: first"):
            leadership(stored, "command", lambda: time.monotonic() / 10).acquire()  # the holder is seen to live
        away.set()
        eventually(lambda: unsent)  # what was on its way before has arrived
        cut_off_at = passed_s[0]
        while not second.attempt():
            passed_s[0] += second.patience_s
        assert not first.is_held()
        assert 0.8 < passed_s[0] - cut_off_at < 1.6
        assert told == []
        away.clear()
        eventually(lambda: told)
        assert told == ["second holds the Lease"]
    finally:
        first.release()
        second.release()
    late = []
    first.when_lost(late.append)
    assert late == told


def test_a_command_waits_for_a_holder_that_died() -> None:
    stored = StoredLease()
    dead = Lease(stored, identity="dead", now=lambda: datetime.now(UTC), times=SHORT)
    assert dead.attempt()
    command = leadership(stored, "command")
    command.acquire()
    assert command.is_held()
    command.release()
    assert stored.lease is not None
    assert stored.lease["spec"]["holderIdentity"] == ""


def test_a_client_asks_before_each_request_that_writes() -> None:
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:1"
    may = [True]
    client = ApiClient(lambda: configuration, may_write=lambda: may[0])
    request = Request(verb="patch", resource="virtualmachines.kubevirt.io", object="default/web")
    for method in ("PATCH", "PUT", "POST", "DELETE"):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            client.call(method, "/x", request)
        may[0] = False
        with pytest.raises(UnreachableError, match="not sent: this replica does not lead") as refused:
            client.call(method, "/x", request)
        assert refused.value.outcome.result is Result.RETRY
        may[0] = True
    may[0] = False
    with pytest.raises(UnreachableError, match="cannot be reached"):
        client.call("GET", "/x", request)


def test_what_others_write_on_it_is_no_sign_of_its_holders_life() -> None:
    world = World()
    first, second = world.replica("first"), world.replica("second")
    assert first.attempt()
    assert not second.attempt()
    before = second.free_in_s
    for _ in range(5):
        world.pass_s(1.0)
        second.pass_on()
        assert not second.attempt()
    assert second.free_in_s == pytest.approx(before - 5.0, abs=0.5)
    world.pass_s(11.0)
    assert second.attempt()


def test_a_word_from_one_that_stands_by_reaches_the_holder_and_is_lost_with_nobody() -> None:
    stored = StoredLease()
    first, second = leadership(stored, "first", lambda: 0.0), leadership(stored, "second", lambda: 0.0)
    heard: list[str] = []
    with pytest.raises(EngineError, match="nobody leads"):
        second.pass_on()
    assert first.attempt()
    first.when_asked(lambda: heard.append("look"))
    try:
        second.pass_on()
        eventually(lambda: heard == ["look"])
        second.pass_on()
        eventually(lambda: heard == ["look", "look"])
        assert first.is_held()
    finally:
        first.release()
    assert stored.lease is not None
    assert stored.lease["spec"]["holderIdentity"] == ""
    # Whoever takes it then looks at everything by itself: an old word is no news.
    second.when_asked(lambda: heard.append("again"))
    assert second.attempt()
    second.release()
    assert heard == ["look", "look"]
