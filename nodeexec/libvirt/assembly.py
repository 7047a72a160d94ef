"""Which parts the libvirt engine is made of and what each of them is given. Decides nothing and connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.attached_volumes import AttachedVolumes
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.disk_keys import DiskKeys, Passphrase
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domain_names import DomainNames
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.executor import Executor
from nodeexec.libvirt.executor_adopt import Adopter
from nodeexec.libvirt.executor_left_behind import LeftBehindChanges
from nodeexec.libvirt.executor_networks import NetworkChanges
from nodeexec.libvirt.executor_power import PowerControl
from nodeexec.libvirt.executor_trash import TrashChanges
from nodeexec.libvirt.executor_vms import VmChanges
from nodeexec.libvirt.executor_volumes import VolumeChanges
from nodeexec.libvirt.guest_agent import GuestAgents
from nodeexec.libvirt.guest_credentials import GuestCredentials
from nodeexec.libvirt.host import Host
from nodeexec.libvirt.host_flavour import HostFlavour
from nodeexec.libvirt.imports import Imports
from nodeexec.libvirt.left_behind import LeftBehind
from nodeexec.libvirt.leftovers import Leftovers
from nodeexec.libvirt.lost_volumes import LostVolumes
from nodeexec.libvirt.observe import Observer
from nodeexec.libvirt.observe_vms import VmReader
from nodeexec.libvirt.observe_volumes import VolumeReader
from nodeexec.libvirt.pools import Pools
from nodeexec.libvirt.settings import LibvirtSettings
from nodeexec.libvirt.survey import Survey
from nodeexec.this_boot import boot_id
from reconciler.model.policy import Policy
from reconciler.ports import Clock, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the engine itself calls."""

    connection: Connection
    events: EventStream
    domains: Domains
    host: Host
    flavour: HostFlavour
    observer: Observer
    survey: Survey
    executor: Executor
    leftovers: Leftovers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What more than one part is given: one of each, because they remember."""

    settings: LibvirtSettings
    policy: Policy
    clock: Clock
    workers: Workers
    boot_id: str
    connection: Connection
    events: EventStream
    domains: Domains
    agents: GuestAgents
    host: Host
    flavour: HostFlavour
    keys: DiskKeys
    pools: Pools
    index: DomainIndex
    imports: Imports
    vms: VmReader
    volumes: VolumeReader


def assemble(
    settings: LibvirtSettings, policy: Policy, clock: Clock, workers: Workers, passphrase: Passphrase
) -> Parts:
    """The parts of one engine. ``passphrase`` reads that of a storage class whose volumes are encrypted."""
    shared = _shared(settings, policy, clock, workers, passphrase)
    observer, survey = _observer(shared), _survey(shared)
    attached = AttachedVolumes(shared.pools, policy, clock)
    return Parts(
        connection=shared.connection,
        events=shared.events,
        domains=shared.domains,
        host=shared.host,
        flavour=shared.flavour,
        observer=observer,
        survey=survey,
        executor=_executor(shared, observer, survey, attached),
        leftovers=Leftovers(policy=policy, observer=observer, imports=shared.imports),
    )


def _shared(
    settings: LibvirtSettings, policy: Policy, clock: Clock, workers: Workers, passphrase: Passphrase
) -> _Shared:
    this_boot = boot_id()
    names = DomainNames()
    events = EventStream(names)
    connection = Connection(settings, on_open=events.opened, on_lost=events.lost, on_let_go=events.deregister)
    domains = Domains(connection, clock, policy.owner, names)
    agents = GuestAgents(connection, settings, clock, workers, events, names)
    events.serve(record_end=domains.record_end, agent_changed=agents.forget)
    host = Host(settings, policy)
    keys = DiskKeys(connection, policy, passphrase)
    index = DomainIndex(domains, events, policy.owner)
    pools = Pools(connection, settings, policy.default_pool, events, index.volumes_in)
    imports = Imports(pools=pools, events=events, clock=clock, workers=workers, limits=settings.imports, keys=keys)
    return _Shared(
        settings=settings,
        policy=policy,
        clock=clock,
        workers=workers,
        boot_id=this_boot,
        connection=connection,
        events=events,
        domains=domains,
        agents=agents,
        host=host,
        flavour=HostFlavour(settings, policy, host, connection),
        keys=keys,
        pools=pools,
        index=index,
        imports=imports,
        vms=VmReader(this_boot, clock),
        volumes=VolumeReader(imports, policy, LostVolumes(events, pools, workers)),
    )


def _observer(shared: _Shared) -> Observer:
    return Observer(
        connection=shared.connection,
        events=shared.events,
        policy=shared.policy,
        clock=shared.clock,
        domains=shared.domains,
        index=shared.index,
        vms=shared.vms,
        volumes=shared.volumes,
        left_behind=LeftBehind(index=shared.index, policy=shared.policy),
        pools=shared.pools,
        host=shared.host,
        agents=shared.agents,
        boot_id=shared.boot_id,
    )


def _survey(shared: _Shared) -> Survey:
    return Survey(
        connection=shared.connection,
        domains=shared.domains,
        pools=shared.pools,
        vms=shared.vms,
        policy=shared.policy,
    )


def _executor(shared: _Shared, observer: Observer, survey: Survey, attached: AttachedVolumes) -> Executor:
    return Executor(
        connection=shared.connection,
        events=shared.events,
        policy=shared.policy,
        domains=shared.domains,
        observer=observer,
        pools=shared.pools,
        vms=_vm_changes(shared, observer, attached),
        volumes=VolumeChanges(
            policy=shared.policy,
            clock=shared.clock,
            domains=shared.domains,
            index=shared.index,
            observer=observer,
            pools=shared.pools,
            imports=shared.imports,
            keys=shared.keys,
        ),
        left_behind=LeftBehindChanges(
            domains=shared.domains, index=shared.index, observer=observer, pools=shared.pools
        ),
        networks=NetworkChanges(
            connection=shared.connection,
            policy=shared.policy,
            clock=shared.clock,
            domains=shared.domains,
            index=shared.index,
        ),
        trash=TrashChanges(policy=shared.policy, index=shared.index, observer=observer, pools=shared.pools),
        adopter=Adopter(
            policy=shared.policy,
            clock=shared.clock,
            domains=shared.domains,
            pools=shared.pools,
            volumes=shared.volumes,
            survey=survey,
            boot_id=shared.boot_id,
        ),
    )


def _vm_changes(shared: _Shared, observer: Observer, attached: AttachedVolumes) -> VmChanges:
    return VmChanges(
        connection=shared.connection,
        policy=shared.policy,
        clock=shared.clock,
        domains=shared.domains,
        observer=observer,
        pools=shared.pools,
        index=shared.index,
        attached=attached,
        power=PowerControl(shared.domains, shared.clock, shared.settings, shared.boot_id, shared.keys),
        keys=shared.keys,
        credentials=GuestCredentials(shared.connection, shared.domains, shared.settings, shared.workers, shared.events),
        flavour=shared.flavour.proven,
    )
