"""Secrets of the host as documents beside those of the repositories. They win: a commit cannot change what an
administrator put on the host, and the one that is passed over is told.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace

from reconciler.manifests.kinds import check_document
from reconciler.manifests.load import InvalidDocument, LoadedFile, digest_of
from reconciler.model.document import Document
from reconciler.model.host_secrets import HostSecret
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Place
from reconciler.model.problem_codes import problem


def host_file(secret: HostSecret) -> LoadedFile:
    """One Secret of the host, as a file of one document."""
    place = Place(secret.directory)
    if secret.problems:
        invalid = InvalidDocument(key=secret.key, place=place, problems=secret.problems)
        return LoadedFile(file=secret.directory, invalid=(invalid,))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret.key.name, "namespace": secret.key.namespace},
        "data": {name: base64.b64encode(value.reveal).decode() for name, value in sorted(secret.data.items())},
    }
    document = Document(key=secret.key, api_version="v1", body=body, digest=digest_of(body), file=secret.directory)
    found = check_document(document)
    if found:
        invalid = InvalidDocument(key=secret.key, place=place, problems=found)
        return LoadedFile(file=secret.directory, invalid=(invalid,))
    return LoadedFile(file=secret.directory, documents=(document,))


def without_overridden(file: LoadedFile, on_host: Iterable[ObjectKey]) -> LoadedFile:
    """A repository's file without the Secrets that the host has itself, each told as a warning."""
    kept = frozenset(on_host)
    passed_over = [entry for entry in file.entries if entry.key in kept]
    if not passed_over:
        return file
    told = [
        problem(
            "secret-overridden",
            entry.place() if isinstance(entry, Document) else entry.place,
            f"{entry.key} is also in secrets.directory of this host, and that one is used",
            object=entry.key,
            hint="remove one of the two",
        )
        for entry in passed_over
    ]
    return replace(
        file,
        documents=tuple(one for one in file.documents if one.key not in kept),
        invalid=tuple(one for one in file.invalid if one.key not in kept),
        warnings=(*(one for one in file.warnings if one.object not in kept), *told),
    )
