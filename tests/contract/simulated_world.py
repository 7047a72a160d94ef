"""The simulated host as a world of the contract suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
from nodeexec.simulated.engine import SimulatedEngine
from nodeexec.simulated.host import Host
from nodeexec.simulated.state import GuestBehaviour, HostDomain, HostVolume, domain_name
from reconciler.model.domain import CpuSpec, DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from reconciler.model.power import StopReason
from tests.contract.builders import Site
from tests.contract.world import Traits, look_vm

GUESTS = {
    "polite": GuestBehaviour(boot_s=1.0, shutdown_s=0.5),
    "deaf": GuestBehaviour(honours_acpi=False),
    "brief": GuestBehaviour(boot_s=1.0, lives_s=3.0),
}


class SimulatedWorld:
    """See `World`."""

    traits = Traits()

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.host = Host(self.clock)
        self.workers = SteppedWorkers()
        self.engine = SimulatedEngine(self.host, owner="contract", clock=self.clock, workers=self.workers)
        policy = Policy(owner="contract", host=self.host.name, default_namespace="contract")
        self.site = Site(policy=policy, namespace="contract")

    def bridge(self, number: int) -> str:
        return f"br{number}"

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.workers.step()

    def settle(self) -> None:
        """Nothing happens without time."""

    def runs(self, key: ObjectKey) -> int:
        return look_vm(self, key).history.runs

    def publish(self, guest: str) -> str:
        url = f"http://images.example/{guest}.img"
        self.host.web[url] = 1 << 20
        self.host.behaviour = GUESTS[guest]
        return url

    def publish_slowly(self, guest: str) -> str:
        return self.publish(guest)

    def _volume(self, key: ObjectKey) -> HostVolume:
        names = (f"{domain_name(key)}.qcow2", f"{domain_name(key)}.raw")
        return next(volume for volume in self.host.state.volumes.values() if volume.name in names)

    def write(self, key: ObjectKey, pattern: int) -> None:
        self.host.put_volume(replace(self._volume(key), written=str(pattern)))

    def reads(self, key: ObjectKey, pattern: int) -> bool:
        return self._volume(key).written == str(pattern)

    def destroy(self, key: ObjectKey) -> None:
        self.host.end_guest(key, StopReason.DESTROYED)

    def kill(self, key: ObjectKey) -> None:
        self.host.end_guest(key, StopReason.FAILED)

    def edit_memory(self, key: ObjectKey, mib: int) -> None:
        self.host.edit_stored(key, lambda spec: replace(spec, memory_mib=mib))

    def undefine(self, key: ObjectKey) -> None:
        self.host.undefine_domain(key)

    def volume_names(self) -> tuple[str, ...]:
        return tuple(sorted(name for _, name in self.host.state.volumes))

    def spoil_network(self, key: ObjectKey) -> None:
        self.host.stop_network(domain_name(key))

    def make_foreign_vm(self, name: str) -> ObjectKey:
        key = ObjectKey("VirtualMachine", "contract", name)
        spec = DomainSpec(
            name=domain_name(key), uuid="6c5f6d2e-0000-4000-8000-000000000001", serial="", cpu=CpuSpec(), memory_mib=32
        )
        self.host.put_domain(HostDomain(name=spec.name, stored=spec))
        return key

    def own_name(self, key: ObjectKey) -> str:
        return domain_name(key)

    def snapshot_of(self, key: ObjectKey) -> str:
        return repr(self.host.state.domains[domain_name(key)])

    def lose(self, key: ObjectKey) -> Callable[[], None]:
        volume = self._volume(key)
        self.host.lose_volume(volume)
        return lambda: self.host.put_volume(volume)

    def darken_pool(self) -> Callable[[], None]:
        self.host.set_unreadable("pool:default", "the directory is gone")
        return lambda: self.host.set_unreadable("pool:default", "")
