"""Existing VMs that nobody made through gitvirt: what is found of one, and what taking it over writes on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.domain import ClaimSource, DiskSpec, InterfaceSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, LiveObject, LiveVm
from reconciler.model.resolved import ResolvedVm, ResolvedVolume

ADOPT = "gitvirt.io/adopt"
"""Annotation: of a VirtualMachine, the domain it is; of a claim, the volume of its pool that it is. Such an object is taken
over by ``gitvirt adopt`` and never made.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDisk:
    """A disk of a domain. ``target`` is its place there (``vda``), ``text`` its source in words, as the engine names it
    (``file /pool/web.qcow2``, empty for an empty drive); ``pool``, ``volume``, ``format`` and ``size_bytes`` of a file in
    a pool. ``generated_for`` is the VM that gitvirt made the file for (a seed ISO, a scratch disk), None for a file of anybody
    else's; ``spec`` then says which of the two it is. ``obstacle`` says why no manifest can have it, empty when one can.
    """

    target: str
    spec: DiskSpec
    text: str = ""
    pool: str = ""
    volume: str = ""
    format: str = ""
    size_bytes: int = 0
    generated_for: ObjectKey | None = None
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInterface:
    """A NIC of a domain. ``place`` is what it is plugged into, as the engine names it (``bridge br0``, ``network lan``),
    ``bridge`` the host's bridge behind that. ``obstacle`` says why no manifest can have it.
    """

    spec: InterfaceSpec
    place: str
    bridge: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVm:
    """A domain by its own name. ``owner`` is whose marks it carries (empty: nobody's). ``obstacles`` are reasons why it
    cannot be adopted at all. ``live`` is it as it stands, under a key without namespace. ``documents`` are, on a platform, its own
    document and those of the claims that it stands on, as they are served; there a VM is told from others by them alone.
    """

    name: str
    uuid: str
    live: LiveVm
    owner: str = ""
    autostart: bool = False
    disks: tuple[FoundDisk, ...] = ()
    interfaces: tuple[FoundInterface, ...] = ()
    obstacles: tuple[str, ...] = ()
    documents: Mapping[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object of a platform that is to become gitvirt's by itself. ``key`` is another than was asked for where a claim is there that a
    DataVolume is to stand on; ``live`` is None for one in the trash; ``obstacles`` are why it cannot be adopted at all.
    """

    key: ObjectKey
    live: LiveObject | None
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """How an existing domain is the VM of a manifest: what its marks remember for as long as it is gitvirt's.

    A running domain's name and its devices' aliases cannot be changed, so they are mapped: ``disks`` from target and
    ``interfaces`` from MAC to the manifest's names, ``claims`` from a source in words to the claim it is, ``networks``
    from the place a NIC is plugged into to `InterfaceSpec.network`. ``kept`` are the fields that stay as they were found.
    """

    key: ObjectKey
    domain: str
    uuid: str
    disks: Mapping[str, str] = field(default_factory=dict)
    interfaces: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, ClaimSource] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[KeptField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """An adoption that is to be carried out, as the VM ``wanted`` of a revision. ``claims`` are the volumes that become gitvirt's
    with it; ``expected`` is the fingerprint that `Engine.as_adopted` gave.
    """

    adoption: Adoption
    wanted: ResolvedVm
    claims: tuple[ResolvedVolume, ...]
    revision: str
    expected: str
