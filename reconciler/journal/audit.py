"""Audit entries chosen and laid out for people and for JSON. Pure; colours and widths are the command's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from reconciler.journal.reading import JOURNAL
from reconciler.model.keys import CLUSTER_SCOPED_KINDS, ObjectKey
from reconciler.model.plain_text import one_line
from reconciler.model.record import AuditEntry

AUDIT_COLUMNS = ("WHEN", "OBJECT", "WHAT", "RESULT", "CAUSE", "WHO", "REVISION", "REASON")


class Wanted:
    """Which objects an audit asks about: ``NAME``, ``NAMESPACE/NAME`` (virtual machines), ``Kind/NAME`` of a
    cluster-scoped kind, or ``Kind/NAMESPACE/NAME``.
    """

    def __init__(self, text: str) -> None:
        self._key: ObjectKey | None = None
        self._name, self._namespace = text, ""
        match text.split("/"):
            case [kind, namespace, name]:
                self._key = ObjectKey(kind, namespace, name)
            case [kind, name] if kind in CLUSTER_SCOPED_KINDS:
                self._key = ObjectKey(kind, "", name)
            case [namespace, name]:
                self._namespace, self._name = namespace, name

    @property
    def needle(self) -> bytes:
        """Bytes that each message about such an object holds: a cheap test before it is parsed."""
        return quote(self._key.name if self._key else self._name, safe="", errors="surrogatepass").encode()

    def matches(self, key: ObjectKey | None) -> bool:
        """Whether an entry is about such an object."""
        if key is None or self._key is not None:
            return key is not None and key == self._key
        named = key.kind == "VirtualMachine" and key.name == self._name
        return named and (not self._namespace or key.namespace == self._namespace)


def choose(entries: Iterable[AuditEntry], wanted: Wanted | None, since: datetime | None) -> Iterator[AuditEntry]:
    """The entries about the wanted object that are not older than ``since``; those about the journal itself with them,
    because what it does not tell is about every object.
    """
    for entry in entries:
        if (wanted is None or wanted.matches(entry.key) or entry.action == JOURNAL) and (
            since is None or entry.at >= since
        ):
            yield entry


def audit_row(entry: AuditEntry) -> tuple[str, ...]:
    """One line of the table, in the order of `AUDIT_COLUMNS`; every cell is safe to print."""
    impact = f" ({entry.impact})" if entry.impact else ""
    return tuple(
        one_line(text)
        for text in (
            entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            str(entry.key) if entry.key else "",
            f"{entry.action}{impact}",
            entry.result,
            str(entry.cause),
            entry.author,
            entry.revision[:10],
            entry.reason,
        )
    )


def audit_dict(entry: AuditEntry) -> dict[str, Any]:
    """The public JSON shape of one entry."""
    return {
        "commit": entry.commit,
        "at": entry.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "object": str(entry.key) if entry.key else None,
        "action": str(entry.action),
        "impact": str(entry.impact) if entry.impact else None,
        "result": entry.result,
        "cause": str(entry.cause),
        "author": entry.author,
        "revision": entry.revision,
        **({"source": entry.source} if entry.source else {}),
        "reason": entry.reason,
        "differences": list(entry.differences),
    }
