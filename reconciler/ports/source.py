"""Where what is wanted comes from: Git, and what an administrator keeps on the host."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from reconciler.model.host_secrets import HostSecrets
from reconciler.model.revision import Revision, Snapshot, SourceStatus


class Source(Protocol):
    """One Git repository at one ref."""

    def fetch(self, approvals: Collection[str] = ()) -> SourceStatus:
        """Look at the remote once and fetch what is new. Never raises for the remote's faults: they are a status.

        ``approvals`` are ids that a person released just now: with `SourceStatus.approval` among them a rewritten
        history is accepted. What a commit says of itself never is one.
        """
        ...

    def status(self) -> SourceStatus:
        """What the last `fetch` came to."""
        ...

    def accepted(self) -> Snapshot | None:
        """The accepted revision's manifest files, from local objects only; None before the first success."""
        ...

    def confirm(self, commit: str) -> None:
        """The accepted revision was read as a whole: it is what a refused one gives way to.

        Raises:
            SourceError: it cannot be put on record; the next accepted revision does it.
        """
        ...

    def refuse(self, commit: str, reason: str) -> bool:
        """The accepted revision cannot be used as a whole: go back to the one confirmed before, on disk, and do not accept
        this one again while it stands at the head. Whether another revision is accepted now: one that was
        confirmed once, under wider limits, is never given up for an older one.
        """
        ...

    def read_blob(self, blob: str) -> bytes:
        """A blob's bytes.

        Raises:
            SourceError: the object is missing or damaged.
        """
        ...

    def revision(self, commit: str) -> Revision | None:
        """A commit's facts, None when it is not known here."""
        ...


class SecretStore(Protocol):
    """What an administrator keeps on the host, outside of every repository: Secrets, and the keys that open encrypted ones."""

    def read(self) -> HostSecrets:
        """What is there now. What is wrong with it is a problem of what it concerns; nothing is raised."""
        ...
