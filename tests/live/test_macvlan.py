"""Guests beside an interface of the host: a real macvlan on one end of a veth pair, seen from the other end."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.outcome import Result
from reconciler.model.power import PowerStep
from reconciler.planning.resolve_network import resolve_network
from tests.contract.builders import create, delete, digest, document, update
from tests.live.conftest import LiveHost

pytestmark = [pytest.mark.live, pytest.mark.slow]
_EVERY_PROTOCOL = 0x0003


@pytest.fixture
def wire(libvirt_engine: LiveHost) -> Iterator[tuple[str, str]]:
    """The two ends of a veth pair, both up."""
    token = libvirt_engine.site.policy.identity_seed
    ends = f"gvm{token}a", f"gvm{token}b"
    subprocess.run(["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]], check=True)
    try:
        for end in ends:
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
        if reason := why_no_tap(ends[1], f"gvm{token}t"):
            pytest.skip(reason)
        yield ends
    finally:
        subprocess.run(["ip", "link", "delete", ends[0]], check=True)


def why_no_tap(beside: str, name: str) -> str:
    """Why no guest can be plugged beside an interface here; empty when one can. Its QEMU is given ``/dev/tapN``, which the kernel
    makes where ``/dev`` is its own (devtmpfs), and nobody does in a container with a ``/dev`` of another kind.
    """
    added = subprocess.run(
        ["ip", "link", "add", "link", beside, "name", name, "type", "macvtap"],
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode != 0:
        return f"this kernel has no macvtap: {added.stderr.strip()}"
    try:
        number = Path(f"/sys/class/net/{name}/ifindex").read_text().strip()
        return "" if Path(f"/dev/tap{number}").exists() else f"/dev/tap{number} does not appear: /dev is no devtmpfs"
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def macvlan(host: LiveHost, name: str, master: str, mode: str = "bridge") -> Any:
    """The network that a NetworkAttachmentDefinition is, on a host that allows its master."""
    config = json.dumps({"cniVersion": "1.0.0", "type": "macvlan", "master": master, "mode": mode})
    manifest = document("NetworkAttachmentDefinition", host.site.namespace, name, {"config": config})
    policy = replace(host.site.policy, allowed_interfaces=(master,))
    resolved = resolve_network(manifest, policy=policy, digest=digest, host_bridges=())
    host.site.networks[resolved.key] = resolved
    return resolved


def frame_of(end: str, mac: str, limit_s: float) -> bytes:
    """The first frame that comes out of the wire from this address."""
    source = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(_EVERY_PROTOCOL)) as listening:
        listening.bind((end, 0))
        listening.settimeout(1.0)
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                frame = listening.recv(2048)
            except TimeoutError:
                continue
            if frame[6:12] == source:
                return frame
    raise AssertionError(f"nothing came from {mac}")


def test_a_guest_speaks_on_the_masters_network(
    libvirt_engine: LiveHost, guest_disk: Any, wire: tuple[str, str]
) -> None:
    host = libvirt_engine
    network = macvlan(host, "wire", wire[0])
    host.applied(create(network))
    live = host.network(network.key)
    assert live.marks is not None
    assert live.network == network.network
    assert host.engine.compare(network, live) == ()

    vm = host.site.vm("web", disks={"root": guest_disk}, nics={"default": network}, memory="128Mi", grace_s=0)
    host.applied(create(vm, power=PowerStep.START))
    assert host.engine.compare(vm, host.vm(vm.key)) == ()
    assert frame_of(wire[1], vm.domain.interfaces[0].mac, 60)

    # It is not moved from under a running guest, and the mark and the network stay.
    moved = macvlan(host, "wire", wire[0], "private")
    outcome = host.engine.apply(update(moved, host.network(network.key)))
    assert outcome.result is Result.RETRY
    assert str(vm.key) in outcome.reason
    assert host.engine.compare(network, host.network(network.key)) == ()

    # The NIC goes and comes while the guest runs.
    without = host.site.vm("web", disks={"root": guest_disk}, nics={}, memory="128Mi", grace_s=0)
    host.until(lambda: host.vm(vm.key).guest_agent)
    host.settle(lambda live: update(without, live or host.vm(vm.key)), vm.key)
    host.applied(update(moved, host.network(network.key)))
    host.applied(update(vm, host.vm(vm.key)))
    assert host.engine.compare(vm, host.vm(vm.key)) == ()
    assert host.engine.compare(moved, host.network(network.key)) == ()


def test_an_interface_that_is_not_there_is_waited_for(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    network = macvlan(host, "wire", "gvm-absent")
    outcome = host.engine.apply(create(network))
    assert outcome.result is Result.RETRY
    assert "this host has no interface gvm-absent" in outcome.reason
    assert host.engine.apply(delete(host.network(network.key))).result is Result.APPLIED
