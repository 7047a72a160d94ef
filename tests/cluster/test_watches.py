"""Watches that break in every way: nothing is concluded from what was not read, no server is asked without end, and all of it heals."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt import watch as watches
from nodeexec.kubevirt.cache import Cache
from nodeexec.kubevirt.engine import KubevirtEngine
from nodeexec.kubevirt.kinds import CLAIM, VM
from reconciler.model.policy import Policy
from tests.cluster.emulator import Emulator, Store
from tests.cluster.front import Front
from tests.cluster.hands import Hands, wait_until
from tests.cluster.site import ClusterSite
from tests.contract.builders import create

EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'


@pytest.fixture
def short(site: ClusterSite, front: Front, tmp_path: Path) -> Any:
    """Engines behind the front that notice early; closed with the test."""
    opened: list[KubevirtEngine] = []

    def another() -> KubevirtEngine:
        path = front.kubeconfig(tmp_path / f"short-{len(opened)}.kubeconfig")
        opened.append(site.another_engine(kubeconfig=str(path), stale_after_s=0.3))
        return opened[-1]

    yield another
    for engine in opened:
        engine.close()


def label(site: ClusterSite, name: str) -> None:
    site.hands.patch(VM, site.namespace, name, {"metadata": {"labels": {"by": "hand"}}})


def lists(front: Front, plural: str) -> int:
    return sum(f"/{plural}?" in line and "watch=true" not in line for line in front.seen)


def test_one_that_is_silent_is_noticed_and_begun_anew(site: ClusterSite, front: Front, short: Any) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    engine = short()
    assert vm.key in engine.observe(None).objects
    wait_until(lambda: front.watches("virtualmachines") == 2, "both engines watch")
    (watch,) = engine._caches._watches[VM]
    watch.silence_s = 0.5
    front.is_silent = True
    front.cut_watches()
    label(site, "web")

    def says_why() -> bool:
        seen = engine.observe(None)
        return seen.is_unknown(vm.key) and "was silent" in seen.why_unknown(vm.key)

    wait_until(says_why, "it is unknown, and not as it was")
    front.is_silent = False
    wait_until(lambda: site.labels(vm.key, engine).get("by"), "the change is seen")
    wait_until(lambda: not engine.observe(None).is_unknown(vm.key), "it is known")


@pytest.mark.parametrize("said", [EXPIRED, b"<html>go away</html>\n", b'{"type": "ADDED"}\n'])
def test_one_that_brings_an_end_or_nonsense_misses_nothing(site: ClusterSite, front: Front, said: bytes) -> None:
    vm = site.vm("web")
    site.engine.apply(create(vm))
    before = lists(front, "virtualmachines")
    front.plan("GET .*/virtualmachines.*watch=true", 200, text=said)
    front.cut_watches()
    label(site, "web")
    wait_until(lambda: site.labels(vm.key).get("by"), "the change is seen")
    assert lists(front, "virtualmachines") == before + (said is EXPIRED)


def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_end(
    site: ClusterSite, front: Front, short: Any
) -> None:
    engine = short()
    engine.observe(None)
    front.plan("GET .*/virtualmachines.*watch=true", 200, text=b"\n", times=1000)
    front.cut_watches()
    time.sleep(2.0)
    seen = [line for line in front.seen if "/virtualmachines?watch=true" in line]
    assert len(seen) < 15, len(seen)


def test_a_list_that_is_gone_is_asked_for_again_ever_later(site: ClusterSite, front: Front, short: Any) -> None:
    claim = site.claim("data")
    site.engine.apply(create(claim))
    before = lists(front, "persistentvolumeclaims")
    front.plan("GET .*/persistentvolumeclaims\\?limit", 410, times=3)
    engine = short()
    began = time.monotonic()
    wait_until(lambda: engine.observe(None).objects.get(claim.key), "it is listed")
    assert time.monotonic() - began > 0.5
    assert lists(front, "persistentvolumeclaims") == before + 4


def test_all_is_listed_anew_now_and_then(
    site: ClusterSite, front: Front, short: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    short().observe(None)
    before = lists(front, "virtualmachines")
    wait_until(lambda: front.watches("virtualmachines") == 2, "both engines watch")
    monkeypatch.setattr(watches, "RELIST_S", 0.0)
    front.cut_watches()
    wait_until(lambda: lists(front, "virtualmachines") > before, "it is listed again")


def test_a_server_that_asks_for_time_gets_it(site: ClusterSite, front: Front, short: Any) -> None:
    claim = site.claim("data")
    site.engine.apply(create(claim))
    front.plan("GET .*/persistentvolumeclaims\\?limit", 429, headers={"Retry-After": "2"})
    engine = short()
    began = time.monotonic()
    wait_until(lambda: engine.observe(None).objects.get(claim.key), "it is listed")
    assert time.monotonic() - began > 1.5


def test_a_list_whose_next_page_is_forgotten_comes_in_one_piece(
    site: ClusterSite, front: Front, short: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [site.claim(f"data-{number}") for number in range(3)]
    for claim in claims:
        site.engine.apply(create(claim))
    monkeypatch.setattr(watches, "PAGE", 1)
    front.plan("GET .*/persistentvolumeclaims.*continue=", 410)
    engine = short()
    wait_until(lambda: {claim.key for claim in claims} <= set(engine.observe(None).objects), "all are listed")
    pages = [line for line in front.seen if "/persistentvolumeclaims" in line and "watch=true" not in line][-3:]
    assert ["limit=" in line for line in pages] == [True, True, False], pages


@pytest.mark.parametrize("said", [b"{}", b"welcome"])
def test_an_answer_that_is_no_list_is_no_empty_list(site: ClusterSite, front: Front, short: Any, said: bytes) -> None:
    claim = site.claim("data")
    site.engine.apply(create(claim))
    planned = front.plan("GET .*/persistentvolumeclaims\\?limit", 200, text=said, times=1000)
    engine = short()
    observation = engine.observe(None)
    assert observation.is_unknown(claim.key)
    assert "something else answers" in observation.why_unknown(claim.key)
    planned.times = 0
    wait_until(lambda: engine.observe(None).objects.get(claim.key), "it is listed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_ended_by_a_fault_of_our_own_is_said(
    site: ClusterSite, front: Front, short: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = site.claim("data")
    site.engine.apply(create(claim))
    engine = short()
    put = Cache.put

    def broken(self: Cache, document: Any) -> Any:
        if self.kind.name == CLAIM and "by" in str(document):
            raise RuntimeError("planted")
        return put(self, document)

    assert claim.key in engine.observe(None).objects
    monkeypatch.setattr(Cache, "put", broken)
    site.hands.patch(CLAIM, site.namespace, "data", {"metadata": {"labels": {"by": "hand"}}})
    found = wait_until(
        lambda: (seen := engine.observe(None)).is_unknown(claim.key) and seen.why_unknown(claim.key), "it is said"
    )
    assert "fault of gitvirt's own" in found


def test_a_server_that_was_set_back_to_a_backup_is_believed(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    hands = Hands(emulator.kubeconfig)
    hands.make_namespace("lab")
    policy = Policy(owner="lab", host="cluster", on_cluster=True)
    site = ClusterSite(hands=hands, kubeconfig=emulator.kubeconfig, namespace="lab", policy=policy)
    try:
        first, later = site.claim("first"), site.claim("later")
        site.engine.observe(None)
        site.engine.apply(create(first))
        backup = copy.deepcopy(emulator.store._objects)
        managers, version = copy.deepcopy(emulator.store._managers), emulator.store.version
        hands.patch(CLAIM, "lab", "first", {"metadata": {"labels": {"by": "hand"}}})
        site.engine.apply(create(later))
        wait_until(lambda: site.labels(first.key).get("by"), "it is seen")
        for watch in site.engine._caches._watches[CLAIM]:
            watch.silence_s = 0.5
        restored = Store()
        restored._objects, restored._managers, restored.version = backup, managers, version
        emulator.store = restored
        wait_until(lambda: site.look(later.key) is None, "what came after the backup is gone")
        assert "by" not in site.labels(first.key)
    finally:
        site.engine.close()
        emulator.close()
