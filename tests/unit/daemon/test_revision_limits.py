"""A revision that is too much as a whole is not used, and what was used before stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from reconciler.daemon.loaded_files import FileLoader, LoadedFiles, RevisionTooLargeError
from reconciler.manifests.limits import RevisionLimits
from reconciler.model.origin import Origin
from reconciler.model.revision import Revision, Snapshot
from reconciler.ports import Source
from tests.hostile.corpus import tiny_documents


@dataclass
class Files:
    """A source whose blobs are named by their paths and contents."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    read: int = 0

    def read_blob(self, blob: str) -> bytes:
        self.read += 1
        return self.blobs[blob]

    def snapshot(self, commit: str, files: dict[str, bytes]) -> Snapshot:
        listed = {path: f"{path}-{len(data)}" for path, data in files.items()}
        self.blobs |= {listed[path]: data for path, data in files.items()}
        revision = Revision(commit=commit, author="", email="", subject="", committed_at=None, approvals=())
        return Snapshot(revision=revision, files=listed, refused=())


def loaded(limits: RevisionLimits) -> tuple[Files, LoadedFiles]:
    files = Files()
    return files, LoadedFiles(FileLoader("default", None, limits), cast("Source", files), Origin())


@pytest.mark.parametrize(
    ("limits", "said"),
    [(RevisionLimits(documents=5), "limits.documents"), (RevisionLimits(read_bytes=600), "limits.readSize")],
)
def test_what_is_too_much_is_said_once_and_not_read_again(limits: RevisionLimits, said: str) -> None:
    files, some = loaded(limits)
    small = files.snapshot("a", {"a.yaml": tiny_documents(4)})
    some.load(small)
    large = files.snapshot("b", {"a.yaml": tiny_documents(4), "b.yaml": tiny_documents(20, first=4)})
    with pytest.raises(RevisionTooLargeError, match=f"{said}.*split the repository"):
        some.load(large)
    assert list(some.files) == ["a.yaml"]
    reads = files.read
    with pytest.raises(RevisionTooLargeError, match=said):
        some.load(large)
    assert files.read == reads
    assert some.load(files.snapshot("c", {"c.yaml": tiny_documents(3)})).after
    assert list(some.files) == ["c.yaml"]


def test_documents_that_went_make_room() -> None:
    files, some = loaded(RevisionLimits(documents=5))
    for number in range(5):
        some.load(files.snapshot(str(number), {f"{number}.yaml": tiny_documents(3 + number % 3)}))
    assert list(some.files) == ["4.yaml"]
