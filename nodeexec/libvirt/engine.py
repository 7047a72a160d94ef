"""The libvirt engine: puts the parts together and is what the core knows of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from nodeexec.libvirt import compare as comparison
from nodeexec.libvirt import domain_xml, live_document, network_xml, support
from nodeexec.libvirt.attached_volumes import AttachedVolumes
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.console import NOT_YET, GuestConsole
from nodeexec.libvirt.disk_keys import DiskKeys, Passphrase, no_passphrase
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domain_names import DomainNames
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.executor import Executor
from nodeexec.libvirt.executor_adopt import Adopter
from nodeexec.libvirt.executor_networks import NetworkChanges
from nodeexec.libvirt.executor_power import PowerControl
from nodeexec.libvirt.executor_trash import TrashChanges
from nodeexec.libvirt.executor_vms import VmChanges
from nodeexec.libvirt.executor_volumes import VolumeChanges
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.guest_agent import GuestAgents
from nodeexec.libvirt.guest_credentials import GuestCredentials
from nodeexec.libvirt.host import Host
from nodeexec.libvirt.imports import Imports
from nodeexec.libvirt.kvm_proof import KvmProof, boot_id
from nodeexec.libvirt.naming import network_name
from nodeexec.libvirt.observe import Observer
from nodeexec.libvirt.observe_vms import VmReader
from nodeexec.libvirt.observe_volumes import VolumeReader
from nodeexec.libvirt.pools import Pools
from nodeexec.libvirt.settings import LibvirtSettings
from nodeexec.libvirt.survey import Survey
from reconciler.model.adoption import Adoption, FoundVm
from reconciler.model.document import Document
from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject, LiveVm, Observation
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Change, Difference
from reconciler.model.policy import Policy
from reconciler.model.power import Override
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved, ResolvedNetwork, ResolvedVm, ResolvedVolume
from reconciler.ports import Clock, Workers

T = TypeVar("T")


class LibvirtEngine:
    """Makes manifests true on one Linux host through libvirt. See `reconciler.ports.Engine` for each method.

    Making one connects to nothing; the first call that needs libvirt does.
    """

    name = "libvirt"

    def __init__(
        self,
        settings: LibvirtSettings,
        policy: Policy,
        clock: Clock,
        workers: Workers,
        passphrase: Passphrase = no_passphrase,
    ) -> None:
        """``passphrase`` reads that of a storage class whose volumes are encrypted."""
        self._settings = settings
        self._policy = policy
        this_boot = boot_id()
        names = DomainNames()
        self._events = EventStream(names)
        self._connection = Connection(
            settings, on_open=self._events.opened, on_lost=self._events.lost, on_let_go=self._events.deregister
        )
        self._domains = Domains(self._connection, clock, policy.owner, names)
        self._agents = GuestAgents(self._connection, settings, clock, workers, self._events, names)
        self._events.serve(record_end=self._domains.record_end, agent_changed=self._agents.forget)
        self._host = Host(settings, policy)
        keys = DiskKeys(self._connection, policy, passphrase)
        pools = Pools(self._connection, settings, policy.default_pool, self._events)
        index = DomainIndex(self._domains, self._events, policy.owner)
        imports = Imports(
            pools=pools, events=self._events, clock=clock, workers=workers, limits=settings.imports, keys=keys
        )
        vms, volumes = VmReader(this_boot), VolumeReader(imports, policy.owner)
        self._survey = Survey(
            connection=self._connection, domains=self._domains, pools=pools, vms=vms, owner=policy.owner
        )
        self._observer = Observer(
            connection=self._connection,
            policy=policy,
            clock=clock,
            domains=self._domains,
            index=index,
            vms=vms,
            volumes=volumes,
            pools=pools,
            host=self._host,
            agents=self._agents,
            boot_id=this_boot,
        )
        self._executor = Executor(
            connection=self._connection,
            events=self._events,
            policy=policy,
            domains=self._domains,
            observer=self._observer,
            pools=pools,
            vms=VmChanges(
                connection=self._connection,
                policy=policy,
                clock=clock,
                domains=self._domains,
                observer=self._observer,
                pools=pools,
                attached=AttachedVolumes(pools, policy, clock),
                power=PowerControl(self._domains, clock, settings, this_boot, keys),
                keys=keys,
                credentials=GuestCredentials(self._connection, self._domains, settings, workers, self._events),
                flavour=self._flavour,
                boot_id=this_boot,
            ),
            volumes=VolumeChanges(
                policy=policy,
                clock=clock,
                domains=self._domains,
                index=index,
                observer=self._observer,
                pools=pools,
                imports=imports,
                keys=keys,
            ),
            networks=NetworkChanges(
                connection=self._connection, policy=policy, clock=clock, domains=self._domains, index=index
            ),
            trash=TrashChanges(policy=policy, index=index, observer=self._observer, pools=pools),
            adopter=Adopter(
                policy=policy,
                clock=clock,
                domains=self._domains,
                pools=pools,
                volumes=volumes,
                survey=self._survey,
                boot_id=this_boot,
            ),
        )

    def check(self, document: Document) -> tuple[Problem, ...]:
        """What this engine cannot honour in a valid document."""
        return support.check(document)

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Live objects.

        Raises:
            EngineError: libvirt cannot be reached.
        """
        return self._observer.observe(keys)

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """Every field in which ``live`` is not as wanted."""
        return comparison.compare(wanted, live)

    def apply(self, change: Change) -> Outcome:
        """Carry out one change; never waits for a guest or a copy."""
        return self._executor.apply(change)

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """Write the operator's facts on a live VM."""
        return self._executor.mark(key, override=override, suspended=suspended, suspended_until=suspended_until)

    def release(self, key: ObjectKey) -> Outcome:
        """Take gitvirt's marks off a live object."""
        return self._executor.release(key)

    def survey(self, name: str) -> FoundVm | None:
        """An existing domain by its own name.

        Raises:
            EngineError: it cannot be read.
        """
        return self._looked(f"reading domain {name}", lambda: self._survey.of(name))

    def as_adopted(self, adoption: Adoption) -> LiveVm | None:
        """A domain as it would be observed once it is adopted.

        Raises:
            EngineError: it cannot be read.
        """
        return self._looked(f"reading domain {adoption.domain}", lambda: self._survey.adopted(adoption))

    def adopt(
        self,
        adoption: Adoption,
        wanted: ResolvedVm,
        claims: Collection[ResolvedVolume],
        *,
        revision: str,
        expected: str,
    ) -> Outcome:
        """Write gitvirt's marks on a domain and its volumes."""
        return self._executor.adopt(adoption, wanted, claims, revision, expected)

    def console(self, key: ObjectKey, *, take_over: bool) -> GuestConsole | None:
        """The serial console of a running guest; None when it is off.

        Raises:
            EngineError: there is no such VM, it has no serial console, or another session has it.
        """

        def open_console() -> GuestConsole | None:
            handle = self._domains.find_vm(key)
            if handle is None:
                raise EngineError(
                    f"there is no VM {key.namespace}/{key.name} on this host; `gitvirt get vm` lists them."
                )
            try:
                is_on = bool(handle.isActive())
                return GuestConsole(self._connection.get(), handle, take_over=take_over) if is_on else None
            except libvirt.libvirtError as error:
                if NOT_YET in str(error) or not handle.isActive():
                    return None
                raise

        return self._looked(f"opening the console of {key}", open_console)

    def empty_trash(self, item: str) -> Outcome:
        """Destroy one trash item for good."""
        return self._executor.empty_trash(item)

    def restore_trash(self, item: str) -> Outcome:
        """Put a trashed volume back under its name."""
        return self._executor.restore_trash(item)

    def note_trash_ages(self) -> Outcome:
        """Write on trash items how long they were seen to lie there."""
        return self._executor.note_trash_ages()

    def describe(self, resolved: Resolved) -> str:
        """The XML the object would have here: without marks, and so without anything of the document's secrets."""
        if isinstance(resolved, ResolvedVm):
            return domain_xml.build(resolved.domain, self._base_flavour(self._known_accelerator()))
        if isinstance(resolved, ResolvedNetwork):
            return network_xml.build(resolved.network, network_name(resolved.key, self._policy.owner))
        return (
            f"{resolved.key}: volume of {resolved.size_bytes} bytes, {resolved.format}, in pool {resolved.pool}, "
            f"{resolved.source.kind}\n"
        )

    def document_of(self, live: LiveObject) -> Mapping[str, Any]:
        """Live state as a Kubernetes-like document."""
        return live_document.document_of(live)

    def events(self) -> Iterator[ObjectKey]:
        """Where to look. Listening begins with this call, not with the first event.

        Raises:
            EngineError: libvirt cannot be reached.
        """
        try:
            return self._events.start(self._connection.get())
        except libvirt.libvirtError as error:
            raise EngineError(translate(error, "asking libvirt for events").message) from error

    def kvm_proof(self) -> KvmProof:
        """Whether guests boot on KVM here, and why not (for ``gitvirt doctor``).

        Raises:
            EngineError: libvirt cannot be reached.
        """
        try:
            return self._host.kvm_proof(self._connection.get())
        except libvirt.libvirtError as error:
            raise EngineError(translate(error, "asking for the emulator").message) from error

    def close(self) -> None:
        """Let go of the connection; guests and copies of other processes are left alone."""
        self._events.close()
        self._connection.close()

    @staticmethod
    def _looked(doing: str, look: Callable[[], T]) -> T:
        try:
            return look()
        except libvirt.libvirtError as error:
            raise EngineError(translate(error, doing).message) from error
        except ValueError as error:
            raise EngineError(f"{doing}: {error}") from error

    def _flavour(self) -> Flavour:
        """Raises EngineError or libvirt.libvirtError when libvirt does not answer."""
        return self._base_flavour(self._host.accelerator(self._connection.get()))

    def _base_flavour(self, accelerator: str) -> Flavour:
        return Flavour(
            accelerator=accelerator,
            owner=self._policy.owner,
            seed_pool=self._policy.default_pool,
            console_log_directory=self._settings.console_log_directory,
            user_network=self._policy.user_network,
        )

    def _known_accelerator(self) -> str:
        """For showing XML without a host at hand."""
        if self._settings.accelerator in ("kvm", "qemu"):
            return self._settings.accelerator
        return self._host.proven or ("kvm" if Path("/dev/kvm").exists() else "qemu")
