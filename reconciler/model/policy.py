"""The pure part of the settings: what decisions depend on besides Git, live state and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.origin import Origin
from reconciler.model.resolved import NetworkSpec


class Mode(StrEnum):
    """``report`` shows what would be done and does nothing; ``enforce`` does it."""

    REPORT = "report"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClassPolicy:
    """Where a StorageClass puts its volumes. ``format`` empty means qcow2 for Filesystem, raw for Block. ``passphrase_file``
    is the path of the passphrase that new volumes are encrypted with (then they are qcow2); empty for none.
    """

    pool: str
    format: str = ""
    passphrase_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """Law 7: within ``window_s``, more than ``few`` and also over ``share`` of the owned objects or over ``many``."""

    few: int = 3
    share: float = 0.10
    many: int = 10
    window_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decisions depend on. ``user_network``: networks cannot be made here (an ordinary user's libvirt), and ``pod: {}`` is
    each guest's own way out. ``host`` is this host's name as marks carry it; ``host_labels`` always hold
    ``kubernetes.io/hostname``. ``mode`` None means: report on a host with foreign VMs and nothing owned, else enforce.
    ``identity_seed`` feeds every derived UUID, serial and MAC. ``allowed_bridges`` are host bridges that a
    NetworkAttachmentDefinition may use, ``allowed_interfaces`` those that guests may be put beside (macvlan); gitvirt never alters
    either. ``on_cluster``: objects go to a platform that resolves their references, schedules VMs, fills claims and carries out
    run strategies by itself; ``prunable_kinds`` are the kinds beside VMs, claims and networks that may be pruned there.
    ``sources`` are what is followed; an object that was
    made from anything else is never pruned. ``trash_expire_after_s`` is how long a trash item must have been seen to lie there
    before it is destroyed; None is for ever.
    """

    owner: str = "gitvirt"
    identity_seed: str = "gitvirt"
    host: str = "localhost"
    host_labels: Mapping[str, str] = field(default_factory=dict)
    default_namespace: str = "default"
    mode: Mode | None = None
    namespace_modes: Mapping[str, Mode] = field(default_factory=dict)
    storage_classes: Mapping[str, StorageClassPolicy] = field(default_factory=dict)
    default_pool: str = "default"
    pod_network: NetworkSpec = NetworkSpec(
        bridge="gitvirt0",
        address="10.77.0.1/22",
        dhcp_range=("10.77.0.10", "10.77.3.250"),
        nat=True,
        domain="gitvirt.internal",
    )
    user_network: bool = False
    allowed_bridges: tuple[str, ...] = ()
    allowed_interfaces: tuple[str, ...] = ()
    default_machine: str = "q35"
    on_cluster: bool = False
    prunable_kinds: frozenset[str] = frozenset()
    blast_radius: BlastRadius = BlastRadius()
    trash_expire_after_s: float | None = None
    sources: tuple[Origin, ...] = (Origin(),)

    @property
    def place(self) -> str:
        """Where objects are, for people."""
        return "in the cluster" if self.on_cluster else "on this host"

    def origin(self, identity: str) -> Origin | None:
        """The source of that identity; None when it is not followed."""
        return next((origin for origin in self.sources if origin.identity == identity), None)
