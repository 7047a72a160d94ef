"""What the libvirt engine needs to know about this host; the composition root fills it from the settings file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodeexec.libvirt.import_addresses import ImportAddresses

GIB = 1 << 30
_OVERHEAD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLimits:
    """Bounds of one import, so that a lying server or image costs a fixed amount. Sizes in bytes.

    ``max_download_bytes`` counts what comes over the wire, ``max_content_bytes`` what it unpacks to; a claim bounds both
    further (`for_disk`). ``stall_timeout_s`` is how long a server may say nothing, ``min_rate_bytes_s`` what it must send
    on the average of such a time, ``timeout_s`` what one attempt may take as a whole. ``inspect_*`` bound ``qemu-img info``, which
    reads bytes that a stranger wrote, ``convert_memory_bytes`` its copying of them. ``first_retry_s`` doubles with each failure in a
    row up to ``most_retry_s``. ``at_once`` imports run at a time, ``at_once_a_host`` from one server, so that a server that
    trickles does not take every place. ``addresses`` says where they may come from.
    """

    max_download_bytes: int = 256 * GIB
    max_content_bytes: int = 1024 * GIB
    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 60.0
    min_rate_bytes_s: int = 4096
    timeout_s: float = 24 * 3600.0
    max_redirects: int = 5
    inspect_timeout_s: float = 30.0
    inspect_memory_bytes: int = 1 * GIB
    convert_memory_bytes: int = 4 * GIB
    first_retry_s: float = 5.0
    most_retry_s: float = 300.0
    at_once: int = 4
    at_once_a_host: int = 2
    addresses: ImportAddresses = ImportAddresses()

    def for_disk(self, size_bytes: int) -> ImportLimits:
        """The bounds of an image for a disk of this size: what cannot fit is not fetched and not unpacked to the end. An image file
        takes a little more than the disk in it. 0 bounds nothing further.
        """
        if not size_bytes:
            return self
        most = size_bytes + size_bytes // 16 + _OVERHEAD_BYTES
        return replace(
            self,
            max_download_bytes=min(self.max_download_bytes, most),
            max_content_bytes=min(self.max_content_bytes, most),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtSettings:
    """How the engine reaches libvirt and where it keeps things.

    ``accelerator`` is ``auto`` (KVM where a guest was seen to boot on it, else emulation), ``kvm`` or ``qemu``.
    ``default_pool_target`` is the directory of the pool that `Policy.default_pool` names, when the engine has to make
    it. ``console_log_directory`` gets one file a VM with its serial console. ``runtime_directory`` holds what may be lost at
    a reboot (the proof of KVM). ``keepalive_interval_s`` 0 sends no keep-alive: a local libvirtd that dies closes the socket,
    and libvirt 9.0's client crashes when a keep-alive runs out while two threads wait for answers.
    """

    uri: str = "qemu:///system"
    accelerator: str = "auto"
    default_pool_target: str = "/var/lib/libvirt/images"
    console_log_directory: str = "/var/log/gitvirt/consoles"
    runtime_directory: str = "/run/gitvirt"
    connect_backoff_first_s: float = 0.2
    connect_backoff_most_s: float = 5.0
    keepalive_interval_s: int = 0
    keepalive_count: int = 3
    agent_timeout_s: int = 5
    agent_refresh_s: float = 20.0
    stop_repeat_s: float = 5.0
    imports: ImportLimits = ImportLimits()
