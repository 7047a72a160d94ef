"""Between loading and assembling: encrypted files are opened, and the host's own Secrets stand beside the repository's.

What was decrypted lives in memory only, as long as the file is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.daemon.cycle_scope import HOST_KINDS
from reconciler.manifests.confine import confined
from reconciler.manifests.host_documents import host_file, without_overridden
from reconciler.manifests.load import LoadedFile
from reconciler.manifests.object_facts import facts_of
from reconciler.model.declared import Declared
from reconciler.model.host_secrets import NO_HOST_SECRETS, HostSecrets
from reconciler.model.keys import ObjectKey
from reconciler.model.origin import Origin
from reconciler.model.problem import Problem
from reconciler.ports import SecretStore


class NoSecretStore:
    """A host that keeps nothing."""

    def read(self) -> HostSecrets:
        """See `SecretStore.read`."""
        return NO_HOST_SECRETS


NO_SECRETS = NoSecretStore()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDocuments:
    """What the host declares beside every repository, and what is wrong with the store of it."""

    files: tuple[LoadedFile, ...] = ()
    problems: tuple[Problem, ...] = ()


NOTHING_ON_HOST = HostDocuments()


class SecretFiles:
    """The files of a revision with the secrets of one store. ``has_keys`` False says that there is no host whose keys could be
    asked for (a pull request): encrypted values then stay cipher text.
    """

    def __init__(self, store: SecretStore, default_namespace: str, *, has_keys: bool = True) -> None:
        self._store = store
        self._default_namespace = default_namespace
        self._has_keys = has_keys
        self._secrets = NO_HOST_SECRETS
        self._opened: dict[str, dict[tuple[str, bytes], LoadedFile]] = {}

    @property
    def version(self) -> int:
        """Another number whenever what the host keeps has changed."""
        return self._secrets.version

    def look(self) -> None:
        """See what the host keeps now."""
        before, self._secrets = self._secrets, self._store.read()
        if before.identities != self._secrets.identities:
            self._opened = {}

    def on_host(self) -> HostDocuments:
        """The host's own documents."""
        files = tuple(host_file(secret) for secret in self._secrets.secrets)
        return HostDocuments(files=files, problems=self._secrets.problems)

    def opened(self, files: Iterable[LoadedFile], origin: Origin = Origin()) -> tuple[LoadedFile, ...]:
        """The files of a source with their encrypted documents opened, and without what the host has itself."""
        known = self._opened.get(origin.name, {})
        opened: dict[tuple[str, bytes], LoadedFile] = {}
        on_host = frozenset(secret.key for secret in self._secrets.secrets)
        result: list[LoadedFile] = []
        for file in files:
            whole = file
            if file.sealed:
                name = (file.file, file.sealed)
                whole = opened[name] = known.get(name) or confined(self._open(file), origin)
            result.append(without_overridden(whole, on_host))
        self._opened[origin.name] = opened
        return tuple(result)

    def _open(self, file: LoadedFile) -> LoadedFile:
        from reconciler.manifests.unseal import open_file  # noqa: PLC0415  (brings the cryptography along)

        identities = self._secrets.identities if self._has_keys else None
        return open_file(file, identities, default_namespace=self._default_namespace)


def users_of_what_changed(before: Declared, after: Declared) -> frozenset[ObjectKey]:
    """The VMs, claims and networks that are others, or use Secrets that are others, where the revision stayed the same."""
    changed = _changed(before, after)
    users = {
        key
        for key, document in after.documents.items()
        if any(need.wanted in changed for need in facts_of(document).needs)
    }
    return frozenset(key for key in changed | users if key.kind in HOST_KINDS)


def _changed(before: Declared, after: Declared) -> frozenset[ObjectKey]:
    old, new = _versions(before), _versions(after)
    return frozenset(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _versions(declared: Declared) -> Mapping[ObjectKey, str]:
    return {**{key: document.digest for key, document in declared.documents.items()}, **declared.invalid}
