"""What of a repository is followed and how it is reached: the part of a source that `SourceSpec` holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.follow import Follow, FollowKind, ref_followed
from reconciler.model.source_spec import SourceAuth, SourceSpec, VerifyMode, VerifySpec
from reconciler.model.versions import parse_range
from reconciler.settings.file import RawSettings
from reconciler.settings.values import dotted_at, place_at

_AUTH_FILES = {
    "passwordFile": "password_file",
    "tokenFile": "token_file",
    "sshKeyFile": "ssh_key_file",
    "knownHostsFile": "known_hosts_file",
}

_VERIFY_FILES = {"gpgKeyring": "gpg_keyring", "sshAllowedSigners": "ssh_allowed_signers"}


def read_follow(raw: RawSettings, at: str, body: Mapping[str, Any]) -> Follow:
    """What is followed; the branch main when nothing is said. ``at`` is the dotted path of the source's section.

    Raises:
        SettingsError: more than one thing is said, or no range of versions.
    """
    said = [kind for kind in FollowKind if kind in body]
    if len(said) > 1:
        raise SettingsError(
            f"{place_at(raw, at, said[-1])}: {dotted_at(at)} has both {said[0]} and {said[1]}; keep one of them."
        )
    if not said:
        return Follow()
    kind, name = said[0], body[said[0]]
    if kind is FollowKind.REF:
        return ref_followed(name)
    if kind is FollowKind.SEMVER:
        try:
            parse_range(name)
        except ValueError as error:
            raise SettingsError(f"{place_at(raw, at, kind)}: {dotted_at(at)}.semver: {error}.") from error
    return Follow(kind=kind, name=name.lower() if kind is FollowKind.COMMIT else name)


def read_auth(raw: RawSettings, at: str, body: Mapping[str, Any]) -> SourceAuth:
    """The credentials' files.

    Raises:
        SettingsError: they contradict each other.
    """
    auth = body.get("auth") or {}
    if "tokenFile" in auth and "passwordFile" in auth:
        raise SettingsError(
            f"{place_at(raw, at, 'auth')}: {dotted_at(at)}.auth has both tokenFile and passwordFile; keep one of them."
        )
    if "passwordFile" in auth and "username" not in auth:
        raise SettingsError(f"{place_at(raw, at, 'auth')}: {dotted_at(at)}.auth.passwordFile needs auth.username.")
    files = {field: Path(auth[name]) for name, field in _AUTH_FILES.items() if name in auth}
    return SourceAuth(username=auth.get("username", ""), **files)


def read_verify(body: Mapping[str, Any]) -> VerifySpec | None:
    """Whose signatures count; None when none are asked for. That a file is named, the schema sees to."""
    verify = body.get("verify")
    if not verify:
        return None
    files = {field: Path(verify[name]) for name, field in _VERIFY_FILES.items() if name in verify}
    return VerifySpec(mode=VerifyMode(verify["mode"]), **files)


def refuse_credentials(raw: RawSettings, at: str, body: Mapping[str, Any]) -> None:
    """URLs hold no secrets; over https the user name may be one (a token).

    Raises:
        SettingsError: one does.
    """
    for name in ("url", "proxy"):
        parts = urlsplit(body.get(name, ""))
        if parts.password is not None or (parts.username is not None and parts.scheme in ("http", "https")):
            raise SettingsError(
                f"{place_at(raw, at, name)}: {dotted_at(at)}.{name} holds a password or a user name; take it out. "
                f"Secrets are given by file name only, see {dotted_at(at)}.auth."
            )


def reach_as_file(spec: SourceSpec) -> dict[str, Any]:
    """This part as the file would say it."""
    verify = {name: str(path) for name, field in _VERIFY_FILES.items() if (path := getattr(spec.verify, field, None))}
    return {
        str(spec.follow.kind): spec.follow.name,
        "path": spec.path,
        "timeout": format_duration(spec.timeout_s),
        "acceptRewrites": spec.accept_rewrites,
        **({"verify": {"mode": str(spec.verify.mode), **verify}} if spec.verify else {}),
        **auth_as_file(spec),
    }


def auth_as_file(spec: SourceSpec) -> dict[str, Any]:
    """How the server is reached, as the file would say it."""
    auth = {name: str(path) for name, field in _AUTH_FILES.items() if (path := getattr(spec.auth, field))}
    if spec.auth.username:
        auth = {"username": spec.auth.username, **auth}
    return {
        **({"auth": auth} if auth else {}),
        **({"caFile": str(spec.ca_file)} if spec.ca_file else {}),
        **({"proxy": spec.proxy} if spec.proxy else {}),
        **({"allowPlainHttp": True} if spec.allow_plain_http else {}),
    }
