"""Between loading and assembling: encrypted files are opened, and the host's own Secrets stand beside the repository's.

What was decrypted lives in memory only, as long as the file is declared.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.manifests.confine import confined
from reconciler.manifests.host_documents import host_file, without_overridden
from reconciler.manifests.load import LoadedFile
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
        self._keys: frozenset[ObjectKey] = frozenset()

    @property
    def version(self) -> int:
        """Another number whenever what the host keeps has changed."""
        return self._secrets.version

    def look(self) -> None:
        """See what the host keeps now."""
        self._secrets = self._store.read()
        self._keys = frozenset(secret.key for secret in self._secrets.secrets)

    def on_host(self) -> HostDocuments:
        """The host's own documents."""
        files = tuple(host_file(secret) for secret in self._secrets.secrets)
        return HostDocuments(files=files, problems=self._secrets.problems)

    def opened(self, file: LoadedFile, origin: Origin = Origin()) -> LoadedFile:
        """A source's file with its encrypted documents opened, and without what the host has itself; the very same file
        where that changes nothing.
        """
        whole = confined(self._open(file), origin) if file.sealed else file
        return without_overridden(whole, self._keys)

    def _open(self, file: LoadedFile) -> LoadedFile:
        from reconciler.manifests.unseal import open_file  # noqa: PLC0415  (brings the cryptography along)

        identities = self._secrets.identities if self._has_keys else None
        return open_file(file, identities, default_namespace=self._default_namespace)
