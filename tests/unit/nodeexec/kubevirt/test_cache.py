"""What a cache keeps when answers and events come in another order than they were made."""

from __future__ import annotations

from threading import RLock
from typing import Any

from nodeexec.kubevirt import cache as module
from nodeexec.kubevirt.cache import Cache
from nodeexec.kubevirt.kinds import KINDS, VM

WEB = ("shop", "web")


def vm(version: int, uid: str = "a") -> dict[str, Any]:
    """A VM as it was at one version."""
    metadata = {"namespace": WEB[0], "name": WEB[1], "uid": uid, "resourceVersion": str(version)}
    return {"kind": VM, "metadata": metadata}


def cache() -> Cache:
    return Cache(KINDS[VM], RLock(), lambda *_: None)


def version_in(one: Cache) -> str | None:
    """Which version there is, None when there is none."""
    found = one.get(WEB)
    return found["metadata"]["resourceVersion"] if found is not None else None


def test_an_answer_of_the_time_before_does_not_bring_back_what_is_gone() -> None:
    one = cache()
    one.put(vm(5))
    one.drop(vm(9))
    one.put(vm(7))
    assert version_in(one) is None
    one.put(vm(11, uid="b"))
    one.put(vm(8))
    assert version_in(one) == "11", "another one has its name by now"


def test_what_a_list_did_not_find_is_gone_as_of_that_list() -> None:
    one = cache()
    one.put(vm(5))
    one.replace((), version=20)
    one.put(vm(7))
    assert version_in(one) is None


def test_what_comes_under_the_label_again_is_there_again() -> None:
    one = cache()
    one.put(vm(5))
    one.drop(vm(9))
    one.put(vm(12))
    assert version_in(one) == "12"


def test_a_server_that_was_set_back_has_it_again() -> None:
    one = cache()
    one.put(vm(5))
    one.drop(vm(9))
    one.replace((vm(5),), version=6, anew=True)
    assert version_in(one) == "5"


def test_what_is_gone_is_not_remembered_without_end(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_GONE_KEPT", 3)
    one = cache()
    for number in range(10):
        one.drop(vm(number, uid=str(number)))
    assert list(one._gone) == ["7", "8", "9"]
