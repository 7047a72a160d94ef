"""The libvirt engine: what the core knows of its parts (`assembly.py`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import libvirt

from nodeexec.libvirt import compare as comparison
from nodeexec.libvirt import domain_xml, live_document, network_xml, support
from nodeexec.libvirt.assembly import assemble
from nodeexec.libvirt.console import NOT_YET, GuestConsole
from nodeexec.libvirt.disk_keys import Passphrase, no_passphrase
from nodeexec.libvirt.errors import translate
from nodeexec.libvirt.kvm_proof import KvmProof
from nodeexec.libvirt.naming import network_name
from nodeexec.libvirt.settings import LibvirtSettings
from nodeexec.on_a_host import OnAHost
from reconciler.model.adoption import Adoption, FoundVm, Takeover
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


class LibvirtEngine(OnAHost):
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
        self._policy = policy
        parts = assemble(settings, policy, clock, workers, passphrase)
        self._connection = parts.connection
        self._events = parts.events
        self._domains = parts.domains
        self._host = parts.host
        self._flavour = parts.flavour
        self._observer = parts.observer
        self._survey = parts.survey
        self._executor = parts.executor
        self._leftovers = parts.leftovers
        self._workers = workers

    def check(self, document: Document) -> tuple[Problem, ...]:
        """What this engine cannot honour in a valid document."""
        return support.check(document)

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Live objects. Whoever acts on this host also sweeps up after those who were killed at it, whenever all is looked at.

        Raises:
            EngineError: libvirt cannot be reached.
        """
        observation = self._observer.observe(keys)
        if keys is None and self._events.listening:
            self._workers.background("sweep up", self._leftovers.sweep)
        return observation

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

    def adopt(self, takeover: Takeover) -> Outcome:
        """Write gitvirt's marks on a domain and its volumes."""
        return self._executor.adopt(takeover)

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
            return domain_xml.build(resolved.domain, self._flavour.supposed())
        if isinstance(resolved, ResolvedNetwork):
            return network_xml.build(resolved.network, network_name(resolved.key, self._policy.owner))
        if not isinstance(resolved, ResolvedVolume):
            return str(resolved.key)
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
