"""Which disks were there, so that one that somebody deleted is known to be lost and not taken for one that was never made
(docs/adr/0039-lost-claims.md).

Kubernetes remembers nothing of an object that is gone. So the register stands beside gitvirt's Lease, away from the disks and from the VMs that
name them: whoever deletes a VM, or a namespace, does not delete it as well. It is read when an engine starts; after that what was
written is what there is, because only the replica that acts writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from threading import Lock

from nodeexec.kubevirt.errors import ApiError, UnreachableError
from nodeexec.kubevirt.own_maps import NOT_FOUND, OwnMaps
from nodeexec.kubevirt.register_text import (
    ABOUT,
    LONGEST_PAGE,
    KnownDisk,
    Name,
    entry_key,
    entry_text,
    length_of,
    read_page,
)
from reconciler.ports import Clock

READ_AGAIN_S = 10.0
"""Pause between two attempts to read a register that could not be read."""

_TEXT = "Disks that gitvirt saw here. One that is gone is lost, and nothing takes its place; without this it would be made anew, empty."


class FullRegisterError(Exception):
    """There are more disks than all pages have room for."""


class Register:
    """See the module. ``fault`` says why it is not known; empty when it is. May be used from several threads."""

    def __init__(self, maps: OwnMaps, clock: Clock, *, names: Sequence[str], namespaces: Collection[str]) -> None:
        """Nothing is asked yet. ``names`` are those of its ConfigMaps, its pages. ``namespaces`` are those that are watched, empty for
        all: of others nobody sees whether a disk is there.
        """
        self._maps, self._clock, self._names = maps, clock, tuple(names)
        self._namespaces = frozenset(namespaces)
        self._lock = Lock()
        self._pages: list[dict[Name, KnownDisk]] = []
        self._disks: dict[Name, KnownDisk] = {}
        self._is_known = False
        self._read_at_s: float | None = None
        self.fault = ""

    def is_known(self) -> bool:
        """Whether it could be read. Asks the server only where it is not known yet."""
        with self._lock:
            now_s = self._clock.monotonic()
            is_due = self._read_at_s is None or now_s - self._read_at_s >= READ_AGAIN_S
            if not self._is_known and is_due:
                self._read_at_s = now_s
                self._try_to_read()
            return self._is_known

    def get(self, name: Name) -> KnownDisk | None:
        """The disk that is known under a name."""
        return self._disks.get(name)

    def disks(self) -> tuple[KnownDisk, ...]:
        """All that are known."""
        return tuple(self._disks.values())

    def write(self, changes: Mapping[Name, KnownDisk | None]) -> None:
        """Remember disks, or forget them (None): one request a page.

        Raises:
            ApiError, UnreachableError: it could not be written; what was asked for may be asked for again.
            FullRegisterError: there is no more room.
        """
        if not changes:
            return
        with self._lock:
            for page, changed in sorted(self._by_page(changes).items()):
                self._write_page(page, changed)

    def _by_page(self, changes: Mapping[Name, KnownDisk | None]) -> dict[int, dict[Name, KnownDisk | None]]:
        """Page number → what changes there. A disk stays on its page; a new one goes where there is room."""
        found: dict[int, dict[Name, KnownDisk | None]] = {}
        room = [LONGEST_PAGE - sum(map(length_of, page.values())) for page in self._pages]
        for name, disk in changes.items():
            pages = [number for number, page in enumerate(self._pages) if name in page]
            for number in pages[1:] if disk is not None else pages:
                found.setdefault(number, {})[name] = None
            if disk is None:
                continue
            number = pages[0] if pages else self._with_room(room, length_of(disk))
            found.setdefault(number, {})[name] = disk
        return found

    def _with_room(self, room: list[int], length: int) -> int:
        """The first page that has room, which it then has less of."""
        number = next((number for number, left in enumerate(room) if left >= length), len(room))
        if number == len(room):
            room.append(LONGEST_PAGE)
        if number == len(self._names):
            raise FullRegisterError(f"{number} ConfigMaps are full of them")
        room[number] -= length
        return number

    def _write_page(self, number: int, changed: Mapping[Name, KnownDisk | None]) -> None:
        """One page. One that is not there (any more) is made with all that is remembered."""
        known = self._pages[number] if number < len(self._pages) else {}
        after = {name: disk for name, disk in {**known, **changed}.items() if disk is not None}
        texts = {entry_key(name): entry_text(disk) if disk is not None else None for name, disk in changed.items()}
        try:
            self._maps.change(self._names[number], texts)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            whole = {entry_key(name): entry_text(disk) for name, disk in after.items()}
            self._maps.create(self._names[number], {ABOUT: _TEXT, **whole})
        if number >= len(self._pages):
            self._pages.append({})
        self._pages[number] = after
        self._remember()

    def _try_to_read(self) -> None:
        try:
            self._pages = list(self._read_pages())
        except ApiError as error:
            self.fault = self._unknown(error.outcome.reason)
        except UnreachableError as error:
            self.fault = self._unknown(str(error))
        except ValueError as error:
            self.fault = self._unknown(
                f"{error}; mend it, or delete that ConfigMap: what is gone by then is made anew, empty"
            )
        else:
            self.fault, self._is_known = "", True
            self._remember()

    def _read_pages(self) -> Iterator[dict[Name, KnownDisk]]:
        for name in self._names:
            found = self._maps.read(name)
            if found is None:
                return
            try:
                yield read_page(found.data)
            except ValueError as error:
                raise ValueError(f"ConfigMap {self._maps.shown(name)} is not as gitvirt writes it: {error}") from error

    def _remember(self) -> None:
        """One view of all pages, of the namespaces that are watched."""
        self._disks = {
            name: disk
            for page in reversed(self._pages)
            for name, disk in page.items()
            if not self._namespaces or name[0] in self._namespaces
        }

    def _unknown(self, reason: str) -> str:
        return f"which disks were there is not known, so that none is made: {reason}"
