"""``source``: the repository that is followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.errors import SettingsError
from reconciler.model.secret import REDACTED
from reconciler.settings.durations import format_duration
from reconciler.settings.file import RawSettings
from reconciler.settings.values import read_duration_s, read_interval_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """The repository. ``url`` empty means that none is set: offline commands work, the daemon refuses to start."""

    url: str = ""
    ref: str = "refs/heads/main"
    path: str = ""
    interval_s: float = 30.0
    jitter_s: float = 3.0
    accept_rewrites: bool = False


def read_source(raw: RawSettings) -> SourceSettings:
    """The section; what a schema cannot say is checked here.

    Raises:
        SettingsError: values that contradict each other.
    """
    body = raw.body.get("source") or {}
    default = SourceSettings()
    if "branch" in body and "ref" in body:
        raise SettingsError(f"{raw.place(['source', 'ref'])}: source has both branch and ref; keep one of them.")
    url = body.get("url", "")
    if urlsplit(url).password is not None:
        raise SettingsError(
            f"{raw.place(['source', 'url'])}: source.url holds a password; take it out. Secrets are given by file name only."
        )
    interval_s = read_interval_s(raw, "source.interval", default=default.interval_s)
    jitter_s = read_duration_s(raw, "source.jitter", default=min(default.jitter_s, interval_s / 10))
    if jitter_s >= interval_s:
        raise SettingsError(f"{raw.place(['source', 'jitter'])}: source.jitter must be shorter than source.interval.")
    return SourceSettings(
        url=url,
        ref=body.get("ref") or f"refs/heads/{body.get('branch', 'main')}",
        path=body.get("path", "").strip("/"),
        interval_s=interval_s,
        jitter_s=jitter_s,
        accept_rewrites=body.get("acceptRewrites", False),
    )


def source_identity(raw: RawSettings) -> str:
    """What is followed, whatever the URL: the ref, and the path where only a part of the repository is."""
    source = read_source(raw)
    return f"{source.ref}:{source.path}" if source.path else source.ref


def redacted_url(url: str) -> str:
    """The URL without user name and password."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{REDACTED}@{parts.netloc.rpartition('@')[2]}"))


def source_as_file(source: SourceSettings) -> dict[str, Any]:
    """The section as the file would say it, without credentials."""
    return {
        **({"url": redacted_url(source.url)} if source.url else {}),
        "ref": source.ref,
        "path": source.path,
        "interval": format_duration(source.interval_s),
        "jitter": format_duration(source.jitter_s),
        "acceptRewrites": source.accept_rewrites,
    }
