"""Documents leaf by leaf: what counts as drift, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from nodeexec.kubevirt.leaves import ABSENT, Unlike, unlike
from nodeexec.kubevirt.merging import merged

DISKS = "spec.template.spec.domain.devices.disks"


def paths(wanted: Any, last: Any, live: Any) -> list[str]:
    return [one.path for one in unlike(wanted, last, live)]


def vm(*disks: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"domain": {"devices": {"disks": list(disks)}}}}}}


def test_what_the_server_filled_in_is_nobody_s_business() -> None:
    wanted = {"spec": {"runStrategy": "Always", "template": {"spec": {"domain": {"memory": {"guest": "1Gi"}}}}}}
    live = {
        "spec": {
            "runStrategy": "Always",
            "template": {
                "spec": {
                    "architecture": "amd64",
                    "domain": {"memory": {"guest": "1024Mi"}, "machine": {"type": "q35"}, "resources": {}},
                }
            },
        }
    }
    assert paths(wanted, ABSENT, live) == []


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"memory": {"guest": "1Gi"}}, {"memory": {"guest": "1024Mi"}}, True),
        ({"resources": {"requests": {"cpu": 1}}}, {"resources": {"requests": {"cpu": "1000m"}}}, True),
        ({"name": "1"}, {"name": 1}, False),
        ({"on": True}, {"on": 1}, False),
        ({"nic": {"macAddress": "52:54:00:AA:BB:CC"}}, {"nic": {"macAddress": "52:54:00:aa:bb:cc"}}, True),
        ({"rng": {}}, {"rng": {}}, True),
        ({"rng": {}}, {}, False),
        ({"gone": None}, {}, True),
        ({"list": []}, {}, True),
        ({"modes": ["A"]}, {"modes": ["A", "B"]}, False),
        ({"password": "digest:012345678901"}, {"password": "whatever it is"}, True),
    ],
)
def test_values(wanted: Any, live: Any, same: bool) -> None:
    assert (paths(wanted, ABSENT, live) == []) is same


def test_a_field_that_is_no_longer_declared_has_to_go() -> None:
    before = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert paths({"metadata": {"labels": {"a": "1"}}}, before, before) == ["metadata.labels.b"]
    assert paths({}, before, before) == ["metadata.labels.a", "metadata.labels.b"]
    assert paths({}, before, {}) == []


def test_items_are_joined_by_name_and_their_order_does_not_matter() -> None:
    one, two = {"name": "a", "disk": {"bus": "virtio"}}, {"name": "b", "disk": {"bus": "sata"}}
    assert paths(vm(one, two), ABSENT, vm(two, one)) == []
    other = {"name": "b", "disk": {"bus": "scsi"}}
    assert paths(vm(one, two), ABSENT, vm(other, one)) == [f"{DISKS}[b].disk.bus"]


def test_an_item_that_nobody_declared_is_foreign_and_one_that_was_declared_has_to_go() -> None:
    one, two = {"name": "a", "disk": {}}, {"name": "b", "disk": {}}
    assert list(unlike(vm(one), vm(one), vm(one, two))) == [Unlike(f"{DISKS}[b]", two, ABSENT, foreign=True)]
    assert list(unlike(vm(one), vm(one, two), vm(one, two))) == [Unlike(f"{DISKS}[b]", two, ABSENT)]


def test_lists_are_written_with_what_others_plugged_in() -> None:
    mine, stranger = {"name": "a", "disk": {"bus": "virtio"}}, {"name": "hot", "disk": {"bus": "scsi"}}
    live = vm({"name": "a", "disk": {"bus": "virtio"}, "serial": "set by a webhook"}, stranger)
    made = merged(vm(mine), vm(mine), live)
    assert made == live
    was = vm(mine, {"name": "b", "disk": {}})
    assert merged(vm(mine), was, vm(mine, {"name": "b", "disk": {}})) == vm(mine)


def test_a_choice_is_not_made_twice() -> None:
    made = merged(
        vm({"name": "a", "cdrom": {}}), vm({"name": "a", "disk": {}}), vm({"name": "a", "disk": {"bus": "sata"}})
    )
    assert made == vm({"name": "a", "cdrom": {}})
