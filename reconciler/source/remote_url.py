"""Where a repository is, from what people write: a path, a URL, or ``USER@HOST:PATH``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.model.errors import SourceError
from reconciler.model.plain_text import is_plain, one_line

_SCP = re.compile(r"(?:(?P<user>[^@:/]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/\[\]@]+):(?P<path>.+)", re.DOTALL)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
_FORMS = "https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH and plain paths"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUrl:
    """A repository on this machine."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpUrl:
    """A repository behind a web server. ``url`` is whole, without credentials, query and closing slash."""

    url: str
    host: str
    is_plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SshUrl:
    """A repository behind an SSH server; ``path`` as the server's shell command takes it."""

    user: str
    host: str
    port: int
    path: str
    shown: str


def parse_url(text: str) -> LocalUrl | HttpUrl | SshUrl:
    """What the text names. A path that exists is a path, whatever stands in its name.

    Raises:
        SourceError: nothing that gitvirt can fetch from; the message holds no credentials.
    """
    if not text:
        raise SourceError(f"the source has no URL: set it to one of {_FORMS}")
    if not is_plain(text):
        raise SourceError("the source's URL holds control characters")
    scp = None if "://" in text or Path(text).exists() else _SCP.fullmatch(text)
    if scp:
        return _ssh(scp["user"] or "", scp["host"].strip("[]"), 22, scp["path"], text)
    if "://" not in text:
        return LocalUrl(path=Path(text).expanduser().absolute())
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as fault:
        raise SourceError("the source's URL has a host or port that cannot be one") from fault
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise SourceError(f"file URLs name no host, but {one_line(parts.netloc)!r} stands in one: use file:///PATH")
        return LocalUrl(path=Path(unquote(parts.path)))
    shown_host = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{shown_host}{f':{port}' if port else ''}{parts.path}"
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise SourceError(f"the URL of {one_line(shown)} holds credentials: take them out and use auth in the settings")
    if not host or parts.query or parts.fragment or parts.path in ("", "/"):
        raise SourceError(f"{one_line(shown)!r} does not name a repository on a host: use one of {_FORMS}")
    if parts.scheme in ("http", "https"):
        return HttpUrl(url=shown.rstrip("/"), host=host, is_plain=parts.scheme == "http")
    if parts.scheme == "ssh":
        path = unquote(parts.path)
        user = unquote(parts.username or "")
        shown = shown.replace("://", f"://{user}@", 1)
        return _ssh(user, host, port or 22, path[1:] if path.startswith("/~") else path, shown)
    raise SourceError(f"gitvirt cannot fetch from {one_line(shown)!r}: use one of {_FORMS}")


def _ssh(user: str, host: str, port: int, path: str, shown: str) -> SshUrl:
    """Neither name may look like an option of ssh, nor be more than a name."""
    if not user:
        raise SourceError(f"{one_line(shown)} names no user: write for instance git@HOST:PATH or ssh://git@HOST/PATH")
    if not (_USER.fullmatch(user) and _HOST.fullmatch(host) and is_plain(path)):
        raise SourceError(f"{one_line(shown)!r} has a user, host or path that cannot be one")
    return SshUrl(user=user, host=host, port=port, path=path, shown=shown)
