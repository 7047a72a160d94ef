"""Between loading and assembling: encrypted files are opened, and the host's own Secrets stand beside the repository's.

What was decrypted lives in memory only, as long as the file is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.daemon.cycle_scope import HOST_KINDS
from reconciler.manifests.host_documents import host_file, without_overridden
from reconciler.manifests.load import LoadedFile
from reconciler.manifests.object_facts import facts_of
from reconciler.manifests.unseal import open_file
from reconciler.model.declared import Declared
from reconciler.model.host_secrets import NO_HOST_SECRETS, HostSecrets
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.ports import SecretStore


class NoSecretStore:
    """A host that keeps nothing."""

    def read(self) -> HostSecrets:
        """See `SecretStore.read`."""
        return NO_HOST_SECRETS


NO_SECRETS = NoSecretStore()


class SecretFiles:
    """The files of a revision with the secrets of one store. ``has_keys`` False says that there is no host whose keys could be
    asked for (a pull request): encrypted values then stay cipher text.
    """

    def __init__(self, store: SecretStore, default_namespace: str, *, has_keys: bool = True) -> None:
        self._store = store
        self._default_namespace = default_namespace
        self._has_keys = has_keys
        self._secrets = NO_HOST_SECRETS
        self._opened: dict[tuple[str, bytes], LoadedFile] = {}

    @property
    def version(self) -> int:
        """Another number whenever what the host keeps has changed."""
        return self._secrets.version

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the store itself."""
        return self._secrets.problems

    def look(self) -> None:
        """See what the host keeps now."""
        before, self._secrets = self._secrets, self._store.read()
        if before.identities != self._secrets.identities:
            self._opened = {}

    def joined(self, files: Iterable[LoadedFile]) -> tuple[LoadedFile, ...]:
        """The files with their encrypted documents opened, and those of the host."""
        opened: dict[tuple[str, bytes], LoadedFile] = {}
        on_host = frozenset(secret.key for secret in self._secrets.secrets)
        result: list[LoadedFile] = []
        for file in files:
            whole = file
            if file.sealed:
                name = (file.file, file.sealed)
                whole = opened[name] = self._opened.get(name) or self._open(file)
            result.append(without_overridden(whole, on_host))
        self._opened = opened
        return (*result, *(host_file(secret) for secret in self._secrets.secrets))

    def _open(self, file: LoadedFile) -> LoadedFile:
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
