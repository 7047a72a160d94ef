"""What is wanted, one object at a time, with all references joined: the input of an engine.

Planning resolves manifests into these; an engine compares them with live objects and applies them. ``document`` is the
manifest as written (None for what no manifest declares, like the pod network).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.model.declared import Declared, Readings
from reconciler.model.document import Document
from reconciler.model.domain import DomainSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.persistent import PersistentMap
from reconciler.model.power import RunStrategy
from reconciler.model.problem import Problem
from reconciler.model.restart_window import RestartWindow
from reconciler.model.secret import Secret
from reconciler.model.sync_wave import Wave


class RestartPolicy(StrEnum):
    """Who carries out a change that needs a restart; annotation ``gitvirt.io/restart-policy`` on the VM. ``WINDOW``: gitvirt does,
    while the VM's ``gitvirt.io/restart-window`` is open.
    """

    MANUAL = "Manual"
    WINDOW = "Window"
    IMMEDIATE = "Immediate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """The cloud-init data behind one `SeedSource`. ``volume`` is the KubeVirt volume's name, ``label`` the ISO's volume
    label (``cidata`` or ``config-2``), ``files`` maps a path on the ISO to its content. Everything here is secret.
    """

    volume: str
    label: str
    digest: str
    files: Mapping[str, Secret]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCredential:
    """What the guest's agent sets for one user: a password, or else the authorized SSH keys, exactly these."""

    user: str
    ssh_keys: tuple[str, ...] = ()
    password: Secret | None = None

    @property
    def what(self) -> str:
        """In words, without a value."""
        return "the SSH keys" if self.password is None else "the password"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAccess:
    """Credentials that are set in the running guest; ``digest`` is keyed, over all of them."""

    credentials: tuple[GuestCredential, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedVm:
    """A VirtualMachine. ``applied`` is its document with secrets as keyed digests: what the live object remembers.
    ``guest_access`` is None where nothing is to be set in the guest, or what it is is not at hand.

    ``claims`` are the volumes it stands on and ``networks`` the networks it is plugged into; both must be ready first.
    ``adopt`` names the existing domain that it is (``gitvirt.io/adopt``), empty for a VM of gitvirt's own making.
    ``restart_window`` is that of the policy Window; None is one that is never open. ``of_another_key`` says that its secrets
    were recorded under another key, so that nothing is known of them (`planning.other_key`).
    """

    key: ObjectKey
    document: Document
    applied: Mapping[str, Any]
    domain: DomainSpec
    run_strategy: RunStrategy
    restart_policy: RestartPolicy
    grace_period_s: int
    seeds: tuple[Seed, ...] = ()
    claims: tuple[ObjectKey, ...] = ()
    networks: tuple[ObjectKey, ...] = ()
    run_strategy_path: str = "spec.runStrategy"
    guest_access: GuestAccess | None = None
    adopt: str = ""
    restart_window: RestartWindow | None = None
    of_another_key: bool = False


class SourceKind(StrEnum):
    """Where a volume's first content comes from."""

    BLANK = "blank"
    HTTP = "http"
    CLONE = "clone"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSource:
    """First content of a volume. ``url`` of http as it may be shown (`SourceAccess` has the whole of it), ``checksum`` as ``sha256:HEX`` or empty, ``claim`` of a clone."""

    kind: SourceKind
    url: str = ""
    checksum: str = ""
    claim: ObjectKey | None = None

    def __str__(self) -> str:
        match self.kind:
            case SourceKind.HTTP:
                return f"http {self.url}"
            case SourceKind.CLONE:
                return f"clone of {self.claim}"
        return "blank"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccess:
    """What a download needs and nobody else may see. ``url`` is the whole address without user and password, ``headers`` are
    sent to its scheme, host and port only, ``authorities`` is PEM text of those to trust beside the system's.
    """

    url: Secret
    headers: tuple[tuple[str, Secret], ...] = ()
    authorities: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedVolume:
    """A PersistentVolumeClaim or DataVolume (``key`` says which) as one volume of one pool.

    ``storage_class`` is the name as declared, empty for none. ``size_path`` is the manifest path of the size. ``format``
    is ``qcow2`` or ``raw``. ``fresh_disk`` names a trash item that must not be taken back (``gitvirt.io/fresh-disk``).
    ``owner_vm`` is the VM whose dataVolumeTemplates declare it. ``access`` is None for sources that need none, and for a
    volume that has its content. ``adopt`` names the existing volume of the pool that it is. ``encrypted`` says that it is,
    or is to be made, with the passphrase of its class.
    """

    key: ObjectKey
    document: Document
    applied: Mapping[str, Any]
    pool: str
    storage_class: str
    format: str
    size_bytes: int
    size_path: str
    source: VolumeSource
    fresh_disk: str = ""
    owner_vm: ObjectKey | None = None
    access: SourceAccess | None = None
    adopt: str = ""
    encrypted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network on one host. ``bridge`` is the host bridge (empty = the engine names one); ``host_bridge`` says that it
    exists already and is only used. ``address`` is the host's own address with prefix length, empty for none;
    ``dhcp_range`` is (first, last) or empty; ``nat`` gives guests a way out. With ``master``, an interface of the host, there is no
    bridge: guests stand beside it on its network (macvlan), in CNI's ``mode``.
    """

    bridge: str = ""
    host_bridge: bool = False
    address: str = ""
    dhcp_range: tuple[str, str] | tuple[()] = ()
    nat: bool = False
    mtu: int = 0
    domain: str = ""
    master: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedNetwork:
    """A NetworkAttachmentDefinition, or the pod network (then ``document`` is None)."""

    key: ObjectKey
    document: Document | None
    applied: Mapping[str, Any]
    network: NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedResource:
    """An object of any other kind, applied as it is written by engines whose platform serves it."""

    key: ObjectKey
    document: Document
    applied: Mapping[str, Any]


Resolved = ResolvedVm | ResolvedVolume | ResolvedNetwork | ResolvedResource


class Present:
    """All keys that the sources hold, valid or not, and some more."""

    def __init__(self, declared: Declared, more: Container[ObjectKey] = ()) -> None:
        self._declared, self._more = declared, more

    def __contains__(self, key: object) -> bool:
        return key in self._declared.documents or key in self._declared.invalid or key in self._more


class Waves:
    """The sync wave of each object that the sources hold, valid or not. True where any says one."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    def of(self, key: ObjectKey) -> Wave | None:
        """None for what no source holds."""
        said = self._declared.waves.get(key)
        document = self._declared.documents.get(key) if said is None else None
        return Wave(document.origin, 0) if document is not None else said

    def __bool__(self) -> bool:
        return any(wave.number for wave in self._declared.waves.values())


NO_WAVES = Waves(Declared(readings={}))


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """Everything the accepted revisions want on this host, resolved. ``present`` are all keys that the sources hold, valid
    or not: only what is absent from it may be pruned, and only when the reading of its source is complete. ``invalid``
    maps an object to why it is held at its last applied document, ``blocked`` to what it lacks, ``not_here`` to the selector
    that rules this host out. ``trouble`` maps those of ``invalid`` that are valid documents to why they cannot be had on
    this host. ``claims_in_use`` counts the wanted VMs that stand on a claim, by (namespace, name);
    ``promised_memory_mib`` is what the VMs that should run have together; ``waves`` are the sync waves of all that the sources hold.
    """

    readings: Readings
    present: Container[ObjectKey] = frozenset()
    objects: PersistentMap[ObjectKey, Resolved] = PersistentMap()
    invalid: PersistentMap[ObjectKey, str] = PersistentMap()
    blocked: PersistentMap[ObjectKey, tuple[str, tuple[ObjectKey, ...]]] = PersistentMap()
    not_here: PersistentMap[ObjectKey, str] = PersistentMap()
    trouble: PersistentMap[ObjectKey, Problem] = PersistentMap()
    claims_in_use: PersistentMap[tuple[str, str], int] = PersistentMap()
    promised_memory_mib: int = 0
    waves: Waves = NO_WAVES
