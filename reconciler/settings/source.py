"""``source`` and ``sources``: the repositories that are followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.origin import Origin
from reconciler.model.secret import REDACTED
from reconciler.model.source_spec import SourceSpec
from reconciler.settings.file import RawSettings
from reconciler.settings.source_reach import reach_as_file, read_auth, read_follow, read_verify, refuse_credentials
from reconciler.settings.values import dotted_at, place_at, read_duration_s, read_interval_s, value_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings(SourceSpec):
    """One repository, and how often it is looked at. Without a URL offline commands work, and the daemon refuses to
    start. ``name`` is empty for the one ``source``; ``namespaces`` None lets it declare objects anywhere.
    """

    name: str = ""
    namespaces: tuple[str, ...] | None = None
    interval_s: float = 30.0
    jitter_s: float = 3.0

    @property
    def origin(self) -> Origin:
        """What decisions know of it. The identity is what is followed, whatever the URL (see `Follow.identity`), and the
        name where there may be others.
        """
        identity = f"{self.name}@{self.identity}" if self.name else self.identity
        return Origin(name=self.name, identity=identity, namespaces=self.namespaces)


def read_sources(raw: RawSettings) -> tuple[SourceSettings, ...]:
    """Every repository that is followed: the one of ``source``, or those of ``sources``; what a schema cannot say is
    checked here.

    Raises:
        SettingsError: values that contradict each other.
    """
    if "sources" not in raw.body:
        if "name" in (raw.body.get("source") or {}):
            raise SettingsError(
                f"{raw.place(['source', 'name'])}: source has no name; only entries of sources have one. "
                "Take it out, or write sources: with one entry."
            )
        return (_read_source(raw, "source"),)
    if "source" in raw.body:
        raise SettingsError(f"{raw.place(['source'])}: there are both source and sources; keep one of them.")
    found = tuple(_read_source(raw, f"sources.{index}") for index in range(len(raw.body["sources"])))
    for index, one in enumerate(found):
        for other in found[:index]:
            if other.name == one.name:
                raise SettingsError(f"{raw.place(['sources', index, 'name'])}: the name {one.name} stands twice.")
            if (other.url, other.identity) == (one.url, one.identity):
                raise SettingsError(
                    f"{raw.place(['sources', index])}: {one.name} follows the same as {other.name}; keep one of them."
                )
            if (other.url, other.follow) == (one.url, one.follow) and _is_within(one.path, other.path):
                raise SettingsError(
                    f"{raw.place(['sources', index, 'path'])}: the paths of {one.name} and {other.name} lie within one "
                    "another, so that each would declare what the other does; keep them apart."
                )
    return found


def _is_within(one: str, other: str) -> bool:
    """Whether either path holds the other."""
    shorter, longer = sorted((one, other), key=len)
    return not shorter or longer.startswith(f"{shorter}/")


def _read_source(raw: RawSettings, at: str) -> SourceSettings:
    """One repository; ``at`` is the dotted path of its section."""
    body, default = value_at(raw, at) or {}, SourceSettings()
    refuse_credentials(raw, at, body)
    interval_s = read_interval_s(raw, f"{at}.interval", default=default.interval_s)
    jitter_s = read_duration_s(raw, f"{at}.jitter", default=min(default.jitter_s, interval_s / 10))
    if jitter_s >= interval_s:
        said = dotted_at(at)
        raise SettingsError(f"{place_at(raw, at, 'jitter')}: {said}.jitter must be shorter than {said}.interval.")
    return SourceSettings(
        name=body.get("name", ""),
        url=body.get("url", ""),
        follow=read_follow(raw, at, body),
        path=body.get("path", "").strip("/"),
        accept_rewrites=body.get("acceptRewrites", False),
        auth=read_auth(raw, at, body),
        verify=read_verify(body),
        ca_file=Path(body["caFile"]) if "caFile" in body else None,
        proxy=body.get("proxy", ""),
        timeout_s=read_interval_s(raw, f"{at}.timeout", default=default.timeout_s),
        allow_plain_http=body.get("allowPlainHttp", False),
        namespaces=tuple(body["namespaces"]) if "namespaces" in body else None,
        interval_s=interval_s,
        jitter_s=jitter_s,
    )


def redacted_url(url: str) -> str:
    """The URL without user name and password; the user name of ssh is no secret."""
    parts = urlsplit(url)
    if parts.password is None and (parts.username is None or parts.scheme == "ssh"):
        return url
    return urlunsplit(parts._replace(netloc=f"{REDACTED}@{parts.netloc.rpartition('@')[2]}"))


def sources_as_file(sources: Sequence[SourceSettings]) -> dict[str, Any]:
    """The section as the file would say it, without credentials."""
    if any(source.name for source in sources):
        return {"sources": [_as_file(source) for source in sources]}
    return {"source": _as_file(sources[0])}


def _as_file(source: SourceSettings) -> dict[str, Any]:
    return {
        **({"name": source.name} if source.name else {}),
        **({"url": redacted_url(source.url)} if source.url else {}),
        **({"namespaces": list(source.namespaces)} if source.namespaces is not None else {}),
        "interval": format_duration(source.interval_s),
        "jitter": format_duration(source.jitter_s),
        **reach_as_file(source),
    }
