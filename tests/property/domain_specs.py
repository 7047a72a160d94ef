"""Every resolved, defaulted `DomainSpec` that a manifest can lead to, as hypothesis strategies."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from reconciler.model.domain import (
    Binding,
    ClaimSource,
    ClockSpec,
    CpuSpec,
    DiskSource,
    DiskSpec,
    DomainSpec,
    InterfaceSpec,
    NoMedia,
    ScratchSource,
    SeedSource,
)

_ALNUM = string.ascii_lowercase + string.digits
labels = st.text(_ALNUM + "-", min_size=1, max_size=20).map(lambda text: f"a{text}z")
subdomains = st.lists(labels, min_size=1, max_size=3).map(".".join)
interface_names = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x7f"), max_size=12).map(
    str.strip
)
macs = st.integers(0, (1 << 40) - 1).map(lambda n: ":".join(("02", *(f"{byte:02x}" for byte in n.to_bytes(5, "big")))))
on_off = st.sampled_from(("on", "off"))

_FEATURES = ("apic", "apic.eoi", "kvm.hidden", "pvspinlock", "smm")
_HYPERV = ("evmcs", "frequencies", "ipi", "reenlightenment", "relaxed", "reset", "runtime", "synic", "synictimer",
           "tlbflush", "vapic", "vpindex")  # fmt: skip


@st.composite
def cpus(draw: st.DrawFn) -> CpuSpec:
    """Topologies with room to grow; models by name or by the host's."""
    sockets = draw(st.integers(1, 4))
    features = draw(
        st.dictionaries(labels, st.sampled_from(("force", "require", "optional", "disable", "forbid")), max_size=3)
    )
    return CpuSpec(
        sockets=sockets,
        cores=draw(st.integers(1, 8)),
        threads=draw(st.integers(1, 2)),
        max_sockets=sockets + draw(st.integers(0, 4)),
        model=draw(st.sampled_from(("", "host-model", "host-passthrough", "Westmere", "EPYC-Rome"))),
        features=tuple(sorted(features.items())),
    )


_TIMER_SETTINGS: dict[str, tuple[str, ...]] = {
    "hpet": ("present=yes,tickpolicy=delay",),
    "hyperv": (),
    "kvm": (),
    "pit": ("present=yes,tickpolicy=catchup",),
    "rtc": ("present=yes,tickpolicy=catchup,track=guest",),
}
"""What a manifest may say of a timer besides whether it is there; only the real-time clock has a track."""


@st.composite
def clocks(draw: st.DrawFn) -> ClockSpec:
    """UTC, an offset or a zone, with timers."""
    offset = draw(st.sampled_from(("utc", "utc:3600", "utc:-7200", "timezone:Europe/Berlin")))
    settings = {
        name: st.sampled_from(("present=yes", "present=no", *further)) for name, further in _TIMER_SETTINGS.items()
    }
    names = draw(st.lists(st.sampled_from(sorted(settings)), max_size=3, unique=True))
    timers = {name: draw(settings[name]) for name in names}
    return ClockSpec(offset=offset, timers=tuple(sorted(timers.items())))


def sources(binding: Binding) -> st.SearchStrategy[DiskSource]:
    """What a disk's bytes may be."""
    claims: st.SearchStrategy[DiskSource] = st.builds(
        ClaimSource,
        namespace=labels,
        claim=subdomains,
        pool=labels,
        format=st.sampled_from(("qcow2", "raw")),
        passphrase=st.sampled_from(("", "5d1d0f0e-7f0c-5a53-9a5e-3b0a4c6c5a11")),
    )
    digests = st.text("0123456789abcdef", min_size=12, max_size=12)
    seeds: st.SearchStrategy[DiskSource] = st.builds(SeedSource, digest=digests)
    if binding is Binding.CDROM:
        return st.one_of(claims, seeds, st.just(NoMedia()))
    return st.one_of(claims, seeds, st.builds(ScratchSource, capacity_bytes=st.integers(1, 1 << 45)))


@st.composite
def disks(draw: st.DrawFn, name: str) -> DiskSpec:
    """A disk or a drive."""
    binding = draw(st.sampled_from((Binding.DISK, Binding.CDROM)))
    bus = draw(st.sampled_from(("virtio", "sata", "scsi", "usb") if binding is Binding.DISK else ("sata", "scsi")))
    return DiskSpec(
        name=name,
        source=draw(sources(binding)),
        binding=binding,
        bus=bus,
        boot_order=draw(st.integers(0, 9)),
        read_only=binding is Binding.CDROM or draw(st.booleans()),
        shareable=draw(st.booleans()),
        serial=draw(texts),
        cache=draw(st.sampled_from(("", "none", "writeback", "writethrough"))),
        io=draw(st.sampled_from(("", "native", "threads"))),
        error_policy=draw(st.sampled_from(("", "stop", "ignore", "report", "enospace"))),
        block_size=draw(st.sampled_from((0, 512, 4096))),
        dedicated_io_thread=bus == "virtio" and draw(st.booleans()),
    )


@st.composite
def interfaces(draw: st.DrawFn, name: str) -> InterfaceSpec:
    """A NIC on the pod network or on another."""
    elsewhere = st.tuples(labels, subdomains).map("/".join)
    return InterfaceSpec(
        name=name,
        network=draw(st.one_of(st.just("PodNetwork/pod"), elsewhere)),
        mac=draw(macs),
        model=draw(st.sampled_from(("virtio", "e1000", "e1000e", "rtl8139"))),
        boot_order=draw(st.integers(0, 9)),
        link_up=draw(st.booleans()),
        mtu=draw(st.sampled_from((0, 1400, 9000))),
    )


@st.composite
def domain_specs(draw: st.DrawFn) -> DomainSpec:
    """A whole VM."""
    disk_names = draw(st.lists(labels, unique=True, max_size=5))
    nic_names = draw(st.lists(interface_names, unique=True, max_size=4))
    own_disks = tuple(draw(disks(name)) for name in disk_names)
    features = {"acpi": draw(on_off)} | draw(st.dictionaries(st.sampled_from(_FEATURES), on_off, max_size=3))
    hyperv = draw(st.dictionaries(st.sampled_from(_HYPERV), on_off, max_size=4))
    hyperv |= draw(st.sampled_from(({}, {"spinlocks": "on"}, {"spinlocks": "8191"}, {"vendorid": "KVMKVMKVM"})))
    input_names = draw(st.lists(labels, unique=True, max_size=2))
    efi = draw(st.booleans())
    return DomainSpec(
        name=f"{draw(labels)}_{draw(subdomains)}",
        uuid=str(draw(st.uuids())),
        serial=draw(texts),
        cpu=draw(cpus()),
        memory_mib=draw(st.integers(1, 1 << 20)),
        hugepages_kib=draw(st.sampled_from((0, 2048, 1048576))),
        machine=draw(st.sampled_from(("q35", "pc-q35-7.2", "pc-q35-6.2"))),
        bootloader="efi" if efi else "bios",
        secure_boot=efi and draw(st.booleans()),
        features=tuple(sorted(features.items())),
        hyperv=tuple(sorted(hyperv.items())),
        clock=draw(clocks()),
        disks=own_disks,
        interfaces=tuple(draw(interfaces(name)) for name in nic_names),
        serial_console=draw(st.booleans()),
        graphics=draw(st.booleans()),
        video=draw(st.sampled_from(("", "vga", "virtio", "bochs"))),
        rng=draw(st.booleans()),
        balloon=draw(st.booleans()),
        agent_channel=draw(st.booleans()),
        inputs=tuple(
            (name, draw(st.sampled_from(("tablet", "keyboard"))), draw(st.sampled_from(("usb", "virtio"))))
            for name in input_names
        ),
        watchdog=draw(st.sampled_from(("", "reset", "poweroff", "shutdown"))),
        io_threads=1 if any(disk.dedicated_io_thread for disk in own_disks) else 0,
    )
