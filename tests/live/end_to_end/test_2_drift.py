"""Hands that are not gitvirt's change what runs or what is stored; it is put right, at once, and the journal says so."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.model.plan import Cause
from tests.live.end_to_end.hands import AFFECT_CONFIG, AFFECT_LIVE, XML_INACTIVE

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]

MIB = 1024
Corrected = Callable[["World", str, str, str], None]


@pytest.fixture
def untouched(alpha: World) -> Iterator[World]:
    """``alpha``, whose guest has to live through what the test does to it."""
    boot, number = alpha.boot_id("alpha"), alpha.domain("alpha").ID()
    yield alpha
    alpha.until_settled()
    assert (alpha.boot_id("alpha"), alpha.domain("alpha").ID()) == (boot, number)


def halves(world: World) -> tuple[str, str]:
    """The stored XML and the running XML."""
    domain = world.domain("alpha")
    return domain.XMLDesc(XML_INACTIVE), domain.XMLDesc(0)


def count(world: World, element: str) -> tuple[int, int]:
    """How many of an element both halves have."""
    stored, running = halves(world)
    return stored.count(f"<{element} "), running.count(f"<{element} ")


def nic_of(world: World, network: str) -> str:
    """The XML of a NIC of the running guest."""
    found: list[str] = re.findall(r"<interface .*?</interface>", world.domain("alpha").XMLDesc(0), re.DOTALL)
    return next(nic for nic in found if f"network='{network}'" in nic)


def test_a_destroyed_vm_runs_again_and_one_that_is_gone_altogether_comes_back(
    alpha: World, corrected: Corrected
) -> None:
    world, mark, first = alpha, alpha.mark(), alpha.run_of("alpha")
    world.guest("alpha", "echo 'written before' > /data/ledger && sync")
    world.domain("alpha").destroy()
    world.until("alpha runs again", lambda: world.run_of("alpha") not in (None, first), every_s=0.05)
    corrected(world, "virsh destroy", world.key("alpha"), mark)

    mark, domain = world.mark(), world.domain("alpha")
    second = world.run_of("alpha")
    domain.undefine()
    domain.destroy()
    world.until("alpha runs again", lambda: world.run_of("alpha") not in (None, second), every_s=0.05)
    corrected(world, "virsh undefine, then destroy", world.key("alpha"), mark)
    world.until("alpha is stored", lambda: world.domain("alpha").isPersistent())
    world.until_settled()
    assert world.guest("alpha", "cat /data/ledger") == "written before"


def test_a_running_vm_that_was_undefined_is_stored_again(untouched: World, corrected: Corrected) -> None:
    world, mark = untouched, untouched.mark()
    before = world.domain("alpha").XMLDesc(XML_INACTIVE)
    world.domain("alpha").undefine()
    corrected(world, "virsh undefine of a running guest", world.key("alpha"), mark)
    assert world.domain("alpha").isPersistent()
    after = world.domain("alpha").XMLDesc(XML_INACTIVE)
    assert re.sub(r"(?s)<metadata>.*</metadata>", "", after) == re.sub(r"(?s)<metadata>.*</metadata>", "", before)


def test_a_detached_nic_is_plugged_in_again(untouched: World, corrected: Corrected) -> None:
    world, mark = untouched, untouched.mark()
    network = f"{world.namespace}_backend"
    nics, eth = count(world, "interface"), "ls /sys/class/net | grep -c eth"
    assert world.guest("alpha", eth) == "2"
    world.domain("alpha").detachDeviceFlags(nic_of(world, network), AFFECT_LIVE | AFFECT_CONFIG)
    corrected(world, "virsh detach-interface", world.key("alpha"), mark)
    world.until("both halves have it again", lambda: count(world, "interface") == nics)
    world.until("the guest sees it again", lambda: world.guest("alpha", eth) == "2")
    backend = world.subnet(1).removesuffix(".0/24")
    world.until("and has its address", lambda: f"inet {backend}." in world.guest("alpha", "ip -4 addr"))


def test_a_nic_that_nobody_declared_is_taken_out(untouched: World, corrected: Corrected) -> None:
    world, mark = untouched, untouched.mark()
    nics = count(world, "interface")
    added = f"<interface type='network'><source network='{world.pod_network}'/><model type='virtio'/></interface>"
    world.domain("alpha").attachDeviceFlags(added, AFFECT_LIVE | AFFECT_CONFIG)
    corrected(world, "virsh attach-interface", world.key("alpha"), mark)
    world.until("it is out of both halves", lambda: count(world, "interface") == nics, every_s=0.05)
    world.until("the guest sees it no more", lambda: world.guest("alpha", "ls /sys/class/net | grep -c eth") == "2")


def test_an_edited_definition_is_put_back(untouched: World, corrected: Corrected) -> None:
    world, mark = untouched, untouched.mark()
    before = world.domain("alpha").XMLDesc(XML_INACTIVE)
    edited = before.replace("<boot order='1'/>", "").replace(
        "<on_crash>destroy</on_crash>", "<on_crash>preserve</on_crash>"
    )
    edited = re.sub(r"<vcpu[^>]*>\d+</vcpu>", "<vcpu>3</vcpu>", re.sub(r"(?s)<topology [^>]*/>", "", edited))
    assert edited != before
    world.connection.defineXML(edited)
    corrected(world, "virsh edit", world.key("alpha"), mark)
    assert world.domain("alpha").XMLDesc(XML_INACTIVE) == before


@pytest.mark.parametrize("half", ["stored", "running"])
def test_resized_memory_is_put_back(untouched: World, corrected: Corrected, half: str) -> None:
    world, mark = untouched, untouched.mark()
    tag = "currentMemory"

    def memory() -> list[str]:
        return [re.findall(rf"<{tag}[^>]*>(\d+)<", xml)[0] for xml in halves(world)]

    total = "grep MemTotal /proc/meminfo | tr -dc 0-9"
    before = world.guest("alpha", total)
    assert memory() == [str(112 * MIB)] * 2
    world.domain("alpha").setMemoryFlags(80 * MIB, AFFECT_CONFIG if half == "stored" else AFFECT_LIVE)
    corrected(world, f"virsh setmem --{'config' if half == 'stored' else 'live'}", world.key("alpha"), mark)
    world.until("the memory is as declared", lambda: memory() == [str(112 * MIB)] * 2)
    if half == "running":
        world.until("the guest has it back", lambda: world.guest("alpha", total) == before)


@pytest.mark.parametrize("network", ["pod", "backend"])
def test_a_stopped_network_works_again_for_running_guests(untouched: World, corrected: Corrected, network: str) -> None:
    world, mark = untouched, untouched.mark()
    is_pod = network == "pod"
    name = world.pod_network if is_pod else f"{world.namespace}_backend"
    nic, subnet = ("eth0", world.subnet(0)) if is_pod else ("eth1", world.subnet(1))
    prefix = subnet.removesuffix("0/24")
    show = f"ip -4 -o addr show dev {nic} | awk '{{print $4}}' | cut -d/ -f1"
    address = world.until("the guest has its address", lambda: world.guest("alpha", show))
    assert address.startswith(prefix)
    world.until("the guest is reached", lambda: reached(address))
    bridge = Path("/sys/class/net", world.connection.networkLookupByName(name).bridgeName(), "ifindex")
    number = bridge.read_text()
    world.connection.networkLookupByName(name).destroy()
    key = "PodNetwork/pod" if is_pod else world.key("backend", "NetworkAttachmentDefinition")
    corrected(world, f"virsh net-destroy of the {'pod network' if is_pod else 'second network'}", key, mark)
    assert bridge.read_text() != number, "the bridge is the one that was there before"
    world.until("the guest is reached again", lambda: reached(address))
    lease = f"udhcpc -n -q -f -t 5 -T 1 -i {nic} -s /bin/true 2>&1 || true"
    world.until("and gets a lease", lambda: f"lease of {prefix}" in world.guest("alpha", lease))


def test_what_was_corrected_stands_in_the_journal_with_its_cause(alpha: World, corrected: Corrected) -> None:
    world, mark = alpha, alpha.mark()
    world.domain("alpha").setMemoryFlags(80 * MIB, AFFECT_CONFIG)
    corrected(world, "virsh setmem --config, again", world.key("alpha"), mark)
    entries: list[Any] = world.cli_json("audit", "--vm", "alpha", "--since", "10m")
    newest = next(entry for entry in entries if entry["cause"] == str(Cause.DRIFT))
    assert (newest["action"], newest["result"]) == ("update", "applied")
    assert any("memory" in line for line in newest["differences"])
    blamed = world.git("log", "--format=%s", f"{mark}..HEAD", at=world.journal)
    assert any(subject.startswith("drift: correct VirtualMachine/") for subject in blamed.splitlines())


def reached(address: str) -> bool:
    """Whether the guest's web server takes a connection from the host."""
    try:
        socket.create_connection((address, 80), timeout=5).close()
    except OSError:
        return False
    return True
