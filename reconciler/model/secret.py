"""A value that never shows itself."""

from __future__ import annotations

from dataclasses import dataclass, field

REDACTED = "<redacted>"

SECRET_FIELDS = frozenset({"userData", "userDataBase64", "networkData", "networkDataBase64", "extraHeaders"})
"""Fields of manifests, at any depth, whose values are kept secret wherever a document is shown or remembered."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Holds bytes that must not reach a log line, a plan, an error or the journal: ``str`` and ``repr`` are redacted."""

    reveal: bytes = field(repr=False)

    def __str__(self) -> str:
        return REDACTED

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"
