"""Secrets of the host: ``DIRECTORY/NAMESPACE/NAME/KEY`` files, laid out as Kubernetes mounts a Secret, and the age keys.

Nothing is watched: a reading looks at every file's stamp and reads only what has another one. Every fault is a problem of
the Secret it belongs to, so that one bad file never costs another Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.model.host_secrets import HostSecret, HostSecrets
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place, Problem
from reconciler.model.problem_codes import problem
from reconciler.model.secret import Secret
from reconciler.private_files import NotPrivateError, Stamp, check_directory, read_private_file, stamp_of

MOST_BYTES = 1 << 20
"""Of one Secret, as in Kubernetes."""
MOST_FILES = 20_000
_IDENTITY_START = b"AGE-SECRET-KEY-1"
_SSH_START = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: Stamp
    data: Secret


class HostStore:
    """The store of one directory and one key file; either may be None. Reads in the caller's thread."""

    def __init__(self, directory: Path | None = None, age_key_file: Path | None = None) -> None:
        self._directory = directory
        self._age_key_file = age_key_file
        self._known: dict[Path, _Known] = {}
        self._last = HostSecrets()

    def read(self) -> HostSecrets:
        """What the host keeps now; never raises for what is wrong with it."""
        fresh: dict[Path, _Known] = {}
        problems: list[Problem] = []
        secrets = tuple(self._secrets(fresh, problems))
        identities = self._identities(fresh, problems)
        self._known = fresh
        now = HostSecrets(secrets=secrets, identities=identities, problems=tuple(problems), version=self._last.version)
        if now != self._last:
            self._last = replace(now, version=self._last.version + 1)
        return self._last

    def _secrets(self, fresh: dict[Path, _Known], problems: list[Problem]) -> Iterator[HostSecret]:
        root = self._directory
        if root is None:
            return
        try:
            check_directory(root)
            namespaces = _entries(root)
        except (NotPrivateError, OSError) as error:
            problems.append(_problem("secrets-directory", root, error))
            return
        for namespace in namespaces:
            try:
                check_directory(namespace)
                names = _entries(namespace)
            except (NotPrivateError, OSError) as error:
                problems.append(_problem("secret-file-refused", namespace, error))
                continue
            for path in names:
                yield self._secret(ObjectKey("Secret", namespace.name, path.name), path, fresh)

    def _secret(self, key: ObjectKey, path: Path, fresh: dict[Path, _Known]) -> HostSecret:
        """One Secret; whatever is wrong with one of its files makes it invalid as a whole."""
        data: dict[str, Secret] = {}
        size = 0
        try:
            check_directory(path)
            for file in _entries(path):
                if len(fresh) >= MOST_FILES:
                    raise NotPrivateError(f"there are more than {MOST_FILES} files", "remove what nothing uses")
                data[file.name] = self._content(file, fresh)
                size += len(data[file.name].reveal)
                if size > MOST_BYTES:
                    raise NotPrivateError(f"{path} holds more than {MOST_BYTES} bytes", "split the Secret")
        except (NotPrivateError, OSError) as error:
            found = replace(_problem("secret-file-refused", path, error), object=key)
            return HostSecret(key=key, directory=str(path), problems=(found,))
        return HostSecret(key=key, directory=str(path), data=data)

    def _content(self, file: Path, fresh: dict[Path, _Known]) -> Secret:
        """A file's bytes, read again only where its stamp is another. A link may lead within the directory only."""
        root = self._directory
        real = file.resolve(strict=True)
        if root is not None and not real.is_relative_to(root.resolve()):
            raise NotPrivateError(f"{file} is a link that leads out of {root}", "put the file itself there")
        known = self._known.get(file)
        if known is None or known.stamp != stamp_of(real):
            content, stamp = read_private_file(real, most_bytes=MOST_BYTES)
            known = _Known(stamp, Secret(content))
        fresh[file] = known
        return known.data

    def _identities(self, fresh: dict[Path, _Known], problems: list[Problem]) -> tuple[Secret, ...]:
        path = self._age_key_file
        if path is None:
            return ()
        try:
            check_directory(path.parent)
            known = self._known.get(path)
            if known is None or known.stamp != stamp_of(path):
                content, stamp = read_private_file(path, most_bytes=MOST_BYTES)
                known = _Known(stamp, Secret(content))
            found = _identities_in(path, known.data)
        except (NotPrivateError, OSError) as error:
            problems.append(_problem("secrets-directory", path, error))
            return ()
        fresh[path] = known
        return found


def _entries(path: Path) -> list[Path]:
    """What lies in a directory, sorted. Hidden names are left out: editors' files, and Kubernetes's ``..data``."""
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))


def _identities_in(path: Path, content: Secret) -> tuple[Secret, ...]:
    """The identities of a key file: lines as ``age-keygen`` writes them, or one SSH private key.

    Raises:
        NotPrivateError: there is none, or a line is something else.
    """
    text = content.reveal
    if text.lstrip().startswith(_SSH_START):
        return (Secret(text.lstrip()),)
    lines = [line.strip() for line in text.splitlines()]
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith(b"#")]
    for number, line in wanted:
        if not line.startswith(_IDENTITY_START):
            raise NotPrivateError(f"line {number} of {path} is not an age identity", "make one with age-keygen")
    if not wanted:
        raise NotPrivateError(f"{path} holds no age identity", "make one with age-keygen")
    return tuple(Secret(line) for _, line in wanted)


def _problem(code: str, path: Path, error: NotPrivateError | OSError) -> Problem:
    if isinstance(error, NotPrivateError):
        return problem(code, Place(str(path)), error.message, hint=error.hint)
    return problem(code, Place(str(path)), f"{path} cannot be read: {error.strerror or 'unknown fault'}", hint=_HINT)


_HINT = "gitvirt must be able to read it; what uses its Secrets stays as it is meanwhile"
