"""``limits``: how much a repository may ask of this host. docs/limits.md lists these and those that are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.quantity import GIB, MIB
from reconciler.settings.file import RawSettings
from reconciler.settings.sizes import format_size, read_size


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """``files`` and ``documents`` of one revision, ``read_bytes`` of new manifests in one go, ``fetch_bytes`` that a server may send."""

    files: int = 250_000
    documents: int = 500_000
    read_bytes: int = 512 * MIB
    fetch_bytes: int = 2 * GIB


def read_limits(raw: RawSettings) -> LimitSettings:
    """The section.

    Raises:
        SettingsError: a size is none.
    """
    default = LimitSettings()
    body = raw.body.get("limits") or {}
    return LimitSettings(
        files=body.get("files", default.files),
        documents=body.get("documents", default.documents),
        read_bytes=read_size(raw, "limits.readSize", default=default.read_bytes),
        fetch_bytes=read_size(raw, "limits.fetchSize", default=default.fetch_bytes),
    )


def limits_as_file(limits: LimitSettings) -> dict[str, Any]:
    """The section as the file would say it."""
    return {
        "files": limits.files,
        "documents": limits.documents,
        "readSize": format_size(limits.read_bytes),
        "fetchSize": format_size(limits.fetch_bytes),
    }
