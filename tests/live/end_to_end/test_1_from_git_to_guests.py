"""A commit becomes running VMs, and later commits change them without a restart, as their guests tell."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from tests.live.end_to_end.manifests import WEBSERVER_CLAIM, claim, network, vm
from tests.unit.manifests.samples import WEBSERVER

if TYPE_CHECKING:
    from tests.live.end_to_end.world import World

pytestmark = [pytest.mark.live, pytest.mark.slow]

GIB = 1 << 30


def test_a_vm_is_made_gets_an_address_and_obeys_cloud_init(alpha: World) -> None:
    world = alpha
    row = world.row("alpha")
    assert (row["status"], row["state"]) == ("Running", "Ready")
    address = ipaddress.ip_address(row["facts"]["ip"])
    assert address in ipaddress.ip_network(world.subnet(0))
    assert f"inet {address}/24" in world.guest("alpha", "ip -4 addr show dev eth0")
    world.until(
        "the second NIC has an address", lambda: ipaddress.ip_network(world.subnet(1)).network_address.packed[:3] in {
            ipaddress.ip_address(ip).packed[:3]
            for nic in world.row("alpha")["live"]["status"]["interfaces"]
            for ip in nic.get("ipAddresses", ())
        },
    )  # fmt: skip
    assert world.guest("alpha", "hostname") == "alpha-guest"
    world.until("runcmd has run", lambda: world.guest("alpha", "cat /run/greeting || true"))
    assert world.guest("alpha", "cat /run/greeting") == "said by runcmd in alpha-guest"
    hashed = world.guest("alpha", "grep ^root: /etc/shadow").split(":")[1]
    assert len(hashed) > 12, "the password was not set"
    assert world.guest("alpha", "mount | grep -c ' /data '") == "1"
    created = world.git("log", "--format=%B", at=world.journal)
    assert f"Change: {world.key('alpha')} create" in created
    assert "Source-Author: Ada Admin <ada@example.org>" in created
    assert "sesame" not in created
    for name in ("backend", "alpha-data"):
        assert f"/{name} create" in created


def test_the_webserver_runs_as_written_and_takes_both_edits_live(alpha: World) -> None:
    world = alpha
    world.declare(
        {
            "webserver.yaml": WEBSERVER,
            "webserver-pvc.yaml": WEBSERVER_CLAIM,
            "external.yaml": network("multus-external-network", world.bridge(2), world.subnet(2)),
            "third.yaml": network("third-network", world.bridge(3), world.subnet(3)),
        },
        "The web server, its disk and its networks",
    )
    world.until_running("webserver-vm")
    boot = world.boot_id("webserver-vm")
    assert world.guest("webserver-vm", "nproc") == "2"
    memory_kib = int(world.guest("webserver-vm", "grep MemTotal /proc/meminfo").split()[1])
    assert 3.6 * GIB < memory_kib * 1024 <= 4 * GIB
    assert int(world.guest("webserver-vm", "cat /sys/block/vda/size")) * 512 == 20 * GIB
    nics = "ls /sys/class/net | grep -c eth"
    assert world.guest("webserver-vm", nics) == "2"
    domain_id = world.domain("webserver-vm").ID()

    edited = WEBSERVER.replace(
        "{name: secondary-net, bridge: {}}]", "{name: secondary-net, bridge: {}}, {name: third-net, bridge: {}}]"
    ).replace("      volumes:", "      - {name: third-net, multus: {networkName: third-network}}\n      volumes:")
    world.declare({"webserver.yaml": edited}, "A third interface for the web server")
    world.until("the guest sees a third NIC", lambda: world.guest("webserver-vm", nics) == "3")
    third = world.subnet(3).removesuffix(".0/24")
    world.until("and has an address on it", lambda: f"inet {third}." in world.guest("webserver-vm", "ip -4 addr"))

    world.declare({"webserver-pvc.yaml": WEBSERVER_CLAIM.replace("20Gi", "40Gi")}, "The web server needs a larger disk")
    size = "cat /sys/block/vda/size"
    world.until("the guest sees a larger disk", lambda: int(world.guest("webserver-vm", size)) * 512 == 40 * GIB)
    assert world.boot_id("webserver-vm") == boot
    assert world.domain("webserver-vm").ID() == domain_id
    world.until_settled()
    row = world.row("webserver-vm")
    assert (row["status"], row["state"]) == ("Running", "Ready")
    assert [c["type"] for c in row["conditions"] if c["status"]] == ["Ready", "AgentConnected"]
    entries = world.cli_json("audit", "--vm", "webserver-vm")
    assert {entry["action"] for entry in entries} == {"create", "update"}

    world.declare({"webserver.yaml": edited.replace("running: true", "running: false")}, "The web server rests")
    world.until("the web server is off", lambda: not world.runs("webserver-vm"))
    world.until_status("webserver-vm", "Stopped")


def test_disks_and_nics_come_and_go_and_grow_as_the_guest_sees(alpha: World) -> None:
    world = alpha
    boot = world.boot_id("alpha")
    disks, nics = "ls /sys/block | grep -c ^vd", "ls /sys/class/net | grep -c eth"
    before = world.guest("alpha", disks), world.guest("alpha", nics)
    assert before == ("3", "2")
    world.declare(
        {
            "extra.yaml": network("extra", world.bridge(4), world.subnet(4)),
            "scratch.yaml": claim("scratch", "24Mi"),
            "alpha.yaml": vm("alpha", nics=("backend", "extra"), disks=("alpha-data", "scratch")),
        },
        "A disk and a NIC more for alpha",
    )
    world.until("the guest sees both", lambda: (world.guest("alpha", disks), world.guest("alpha", nics)) == ("4", "3"))
    sizes = "cat /sys/block/vd*/size"
    assert str((24 << 20) // 512) in world.guest("alpha", sizes).split()
    world.declare({"scratch.yaml": claim("scratch", "48Mi")}, "A larger scratch disk")
    world.until("the guest sees the growth", lambda: str((48 << 20) // 512) in world.guest("alpha", sizes).split())
    world.declare({"alpha.yaml": vm("alpha", nics=("backend",), disks=("alpha-data",))}, "Without them again")
    world.until("the guest sees neither", lambda: (world.guest("alpha", disks), world.guest("alpha", nics)) == before)
    world.until_settled()
    assert world.boot_id("alpha") == boot
