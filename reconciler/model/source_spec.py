"""One repository as the settings name it: where it is, what of it is followed, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.model.follow import Follow


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAuth:
    """Credentials, by file only; the files are read at each use, so that they can be replaced at any time.

    Over https: ``token_file``, or ``username`` with ``password_file``. Over ssh: ``ssh_key_file`` and
    ``known_hosts_file``, both needed.
    """

    username: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None


class VerifyMode(StrEnum):
    """Which commits need a signature that counts: the head alone, or every one since the last accepted."""

    HEAD = "head"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySpec:
    """Whose signatures count: an OpenPGP keyring, an allowed_signers file of OpenSSH, or both. Read at each use."""

    mode: VerifyMode = VerifyMode.HEAD
    gpg_keyring: Path | None = None
    ssh_allowed_signers: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """``url`` empty means that no repository is named. ``path`` is the directory of the manifests below its root.

    ``ca_file`` holds the certificate authorities that are trusted in place of the system's; ``proxy`` is the URL of an
    HTTP proxy. ``verify`` None asks for no signatures. ``timeout_s`` bounds one whole fetch. ``allow_plain_http`` lets manifests come over a network unprotected.
    """

    url: str = ""
    follow: Follow = Follow()
    path: str = ""
    accept_rewrites: bool = False
    auth: SourceAuth = SourceAuth()
    verify: VerifySpec | None = None
    ca_file: Path | None = None
    proxy: str = ""
    timeout_s: float = 300.0
    allow_plain_http: bool = False

    @property
    def identity(self) -> str:
        """See `Follow.identity`."""
        return self.follow.identity(self.path)
