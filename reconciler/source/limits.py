"""How much a repository may ask of gitvirt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimits:
    """Bounds on one source. Sizes in bytes, times in seconds.

    ``files`` is how many manifest files a revision may hold; four times as many tree entries are looked at before
    the revision is refused. ``approval_commits`` is how many new commits are searched for approvals, ``verified_commits``
    how many may come at once where each has to be signed, ``commit_bytes`` how large one of them may be. ``packs`` is how
    many pack files the mirror gathers before it is written anew as one.

    Of a server: ``ref_bytes`` bounds what it may list, ``fetch_bytes`` what it may send in one fetch;
    ``index_memory_bytes`` is the address space in which its pack is indexed. ``stall_timeout_s`` is how long it may say
    nothing, ``look_timeout_s`` and ``fetch_timeout_s`` how long a whole look and a whole fetch may take.
    """

    blob_bytes: int = 8 * 1024 * 1024
    files: int = 250_000
    name_bytes: int = 255
    path_bytes: int = 1024
    depth: int = 64
    approval_commits: int = 1000
    verified_commits: int = 5000
    commit_bytes: int = 1024 * 1024
    packs: int = 50
    ref_bytes: int = 16 * 1024 * 1024
    fetch_bytes: int = 2 * 1024 * 1024 * 1024
    index_memory_bytes: int = 2 * 1024 * 1024 * 1024
    connect_timeout_s: float = 15.0
    stall_timeout_s: float = 30.0
    look_timeout_s: float = 30.0
    fetch_timeout_s: float = 300.0
    lock_wait_s: float = 30.0


DEFAULT_LIMITS = SourceLimits()
