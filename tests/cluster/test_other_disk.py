"""A claim that leaves Git and comes back as another disk: what waits for what is said, nothing of the old disk is touched, and each way out works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, VM
from tests.cluster.place import Place, sample_place
from tests.cluster.planes import Cluster


def manifests(source: dict[str, Any], kind: str = DATA_VOLUME) -> str:
    """A VM and its disk."""
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    disk: dict[str, Any] = {"apiVersion": "v1", "kind": CLAIM, "metadata": {"name": "data"}, "spec": size}
    if kind == DATA_VOLUME:
        disk |= {
            "apiVersion": "cdi.kubevirt.io/v1beta1",
            "kind": DATA_VOLUME,
            "spec": {"source": source, "storage": size},
        }
    volume = (
        {"dataVolume": {"name": "data"}} if kind == DATA_VOLUME else {"persistentVolumeClaim": {"claimName": "data"}}
    )
    domain = {"memory": {"guest": "64Mi"}, "devices": {"disks": [{"name": "d", "disk": {"bus": "virtio"}}]}}
    vm = {
        "apiVersion": "kubevirt.io/v1", "kind": VM, "metadata": {"name": "web"},
        "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": domain, "volumes": [{"name": "d", **volume}]}}},
    }  # fmt: skip
    return yaml.safe_dump_all([disk, vm])


_NUMBERS = count(1)
BLANK: dict[str, Any] = {"blank": {}}
IMAGE = {"http": {"url": "http://images.example.org/other.qcow2"}}


@pytest.fixture
def place(tmp_path: Path, emulated: Cluster) -> Iterator[Place]:
    """A VM with a disk that was applied, and that left Git; beside it a VM that stays."""
    namespace = f"other-disk-{next(_NUMBERS)}"
    emulated.hands.make_namespace(namespace)
    made = sample_place(tmp_path, emulated, namespace)
    shutil.rmtree(made.home.repository / "vms")
    made.home.repository.joinpath("stays.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": CLAIM, "metadata": {"name": "stays"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    )  # fmt: skip
    put(made, manifests(BLANK))
    filled(made)
    remove(made)
    yield made


def filled(place: Place) -> None:
    """What CDI does of a DataVolume: a claim of its name that belongs to it."""
    owner = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": DATA_VOLUME,
        "name": "data",
        "uid": disk(place)["metadata"]["uid"],
    }
    metadata = {"name": "data", "namespace": place.namespace, "ownerReferences": [{**owner, "controller": True}]}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    place.hands.create(
        {"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": spec}, manager="cdi-controller"
    )


def put(place: Place, text: str) -> None:
    place.home.repository.joinpath("web.yaml").write_text(text)
    place.commit("web")
    place.gitvirt("apply", code=0)


def remove(place: Place) -> None:
    place.home.git("rm", "-q", "web.yaml")
    place.commit("no web")
    place.gitvirt("apply")
    place.gitvirt("apply")


def disk(place: Place) -> dict[str, Any]:
    found = place.hands.get(DATA_VOLUME, place.namespace, "data")
    assert found is not None
    return found


def item(place: Place) -> str:
    (one,) = [
        row["item"]
        for row in json.loads(place.gitvirt("trash", "list", "-o", "json"))["items"]
        if row["object"].endswith("/data")
    ]
    return str(one)


def waits(place: Place) -> dict[str, str]:
    """Object → what it waits for."""
    plan = json.loads(place.gitvirt("plan", "-o", "json"))
    return {entry["object"].rpartition("/")[0].partition("/")[0]: entry["by"] for entry in plan["blocked"]}


@pytest.mark.parametrize("text", [manifests(IMAGE), manifests({}, CLAIM)], ids=["another source", "another kind"])
def test_the_new_one_waits_with_its_vm_and_the_old_one_is_not_touched(place: Place, text: str) -> None:
    before, kept = disk(place), item(place)
    place.home.repository.joinpath("web.yaml").write_text(text)
    place.commit("another disk")
    place.gitvirt("apply")
    told = waits(place)
    kind = CLAIM if f"kind: {CLAIM}" in text else DATA_VOLUME
    assert told[kind].startswith(f"`gitvirt trash empty {kept}` first")
    assert "the old manifest takes it back" in told[kind]
    assert told[VM] == f"waits for {kind}/{place.namespace}/data"
    assert place.hands.get(VM, place.namespace, "web") is None, "it would have started from the old disk"
    assert disk(place) == before
    for shown in (place.gitvirt("plan"), place.gitvirt("get", kind.lower()), place.gitvirt("status")):
        assert f"`gitvirt trash empty {kept}` first" in shown
    # One way out: the old manifest.
    put(place, manifests(BLANK))
    after = disk(place)
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert "gitvirt.io/trash" not in after["metadata"]["labels"]
    assert place.names(VM) == {"web"}
    assert waits(place) == {}


def test_emptied_the_name_is_free_and_the_new_one_is_made(place: Place) -> None:
    old = disk(place)["metadata"]["uid"]
    put(place, manifests(IMAGE))
    place.gitvirt("trash", "empty", item(place), "--yes")
    place.hands.delete(CLAIM, place.namespace, "data")  # It belongs to the DataVolume: the garbage collector's part.
    place.gitvirt("apply")
    made = disk(place)
    assert made["metadata"]["uid"] != old
    assert made["spec"]["source"] == IMAGE
    assert place.names(VM) == {"web"}
