"""What comes from the cache, or by change, is what loading from nothing gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml._yaml import CParser

from reconciler.daemon.file_cache import FileCache
from reconciler.daemon.loaded_files import FileLoader, LoadedFiles
from reconciler.manifests import strict_yaml
from reconciler.manifests.limits import ParseLimits
from reconciler.manifests.load import InvalidDocument, LoadedFile, load_blob
from reconciler.manifests.load_parts import load_in_parts
from reconciler.manifests.packed_file import pack, unpack
from reconciler.manifests.walk import leaves
from reconciler.model.document import Document
from reconciler.model.origin import Origin
from reconciler.model.problem import Problem
from reconciler.model.revision import Revision, Snapshot
from tests.unit.manifests.samples import CLAIM, WEBSERVER

FRAGMENTS = st.sampled_from(
    [
        WEBSERVER,
        CLAIM,
        CLAIM.replace("20Gi", "lots"),
        CLAIM.replace("metadata:", "metadata:\n  labels: {a: }"),
        WEBSERVER.replace("running", "runing"),
        "kind: VirtualMachin\napiVersion: kubevirt.io/v1\nmetadata: {name: a}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ü, namespace: b}\ndata: {a: '1', b: }\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: odd}\n",
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: n}}]\n",
        "a: [\n",
        "# nothing\n",
        "\ufeff",
    ]
)
FILES = st.lists(FRAGMENTS, max_size=4).map("---\n".join).map(str.encode)


def facts(file: LoadedFile) -> Any:
    """All that can be seen of a file."""
    return (
        file.file,
        file.origin,
        [seen(one) for one in file.documents],
        file.invalid,
        file.unidentified,
        file.warnings,
    )


def seen(document: Document) -> Any:
    places = [document.place(path) for path, _ in leaves(document.body)]
    return (
        document.key,
        document.api_version,
        repr(document.body),
        document.digest,
        document.file,
        document.origin,
        places,
    )


@given(FILES)
@settings(max_examples=60, deadline=None)
def test_a_packed_file_is_the_file_under_any_path(data: bytes) -> None:
    packed = pack(load_blob(data, "a.yaml"))
    for path in ("a.yaml", "other/b.yaml"):
        assert facts(unpack(packed, path, "o")) == facts(load_blob(data, path, origin="o"))
    assert pack(unpack(packed, "a.yaml", "")) == packed


TEXTS = st.lists(
    st.sampled_from(
        [
            WEBSERVER,
            WEBSERVER.replace("4Gi", "2Gi"),
            CLAIM,
            "\n\n" + CLAIM,
            "# a comment\n",
            "",
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: n}}]\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: &a {name: b}\ndata:\n  c: |\n    x\n    ---\n\n\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\ndata: {a: '1', b: }\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: *a\n",
            "{apiVersion: v1, kind: Namespace, metadata: {name: n}}\n...\n",
            "%YAML 1.1\n",
            "a: [\n",
            "a: 'x\n",
            "x: 1\ry: 2\n",
            "x: \u2028 y\n",
        ]
    ),
    max_size=5,
)
STARTS = st.sampled_from(["---\n", "--- \n", "--- # c\n", "---\r\n", " ---\n", "---x\n"])
STREAMS = st.lists(st.tuples(STARTS, TEXTS.map("".join)), max_size=6).map(
    lambda parts: "".join(start + text for start, text in parts).encode()
)


@given(st.lists(STREAMS | TEXTS.map("---\n".join).map(str.encode), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_a_file_read_by_its_documents_is_the_file_as_a_whole(revisions: list[bytes]) -> None:
    known: LoadedFile | None = None
    for data in revisions:
        whole, by_parts = load_blob(data, "a.yaml"), load_in_parts(data, "a.yaml", known)
        if by_parts is not None:
            assert facts(by_parts) == facts(whole)
            assert not whole.problems and not whole.sealed
            assert facts(unpack(pack(by_parts), "a.yaml", "")) == facts(whole)
            assert unpack(pack(by_parts), "a.yaml", "").parts == by_parts.parts
        known = by_parts


def test_only_documents_with_another_text_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [CLAIM.replace("webserver", f"n{number}") for number in range(20)]
    known = load_in_parts("---\n".join(texts).encode(), "a.yaml")
    assert known is not None
    texts[7] = "# more\n" + texts[7].replace("20Gi", "30Gi")
    read: list[bytes] = []
    monkeypatch.setattr(strict_yaml, "CParser", lambda data: (read.append(data), CParser(data))[1])
    after = load_in_parts("---\n".join(texts).encode(), "a.yaml", known)
    assert after is not None and len(read) == 1
    assert all(one is other for one, other in zip(known.documents[:7], after.documents[:7], strict=True))
    assert facts(after) == facts(load_blob("---\n".join(texts).encode(), "a.yaml"))
    limits = ParseLimits(nodes=20 * 15)
    assert load_in_parts("---\n".join(texts).encode(), "a.yaml", known, limits=limits) is None


@pytest.mark.parametrize("data", [b"", b"abc", b"\0\0\0\x02[]", b"\0\0\0\x02{}", b"\xff\xff\xff\xffx"])
def test_other_bytes_are_not_taken_for_a_packed_file(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(data, "a.yaml", "")


@dataclass
class Blobs:
    """`Source.read_blob` over a dictionary; counts what was read."""

    held: dict[str, bytes] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def read_blob(self, blob: str) -> bytes:
        self.read.append(blob)
        return self.held[blob]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileCache]:
    cache = FileCache(tmp_path_factory.mktemp("state") / "files.sqlite", "1", pytest.fail)
    yield cache
    cache.close()


@given(
    st.lists(st.dictionaries(st.sampled_from(["a.yaml", "b.yml", "c/d.json", "kustomization.yaml"]), FILES), min_size=1)
)
@settings(max_examples=40, deadline=None)
def test_by_change_and_through_the_cache_equals_from_nothing(
    cache: FileCache, revisions: list[dict[str, bytes]]
) -> None:
    blobs = Blobs()
    files = LoadedFiles(FileLoader("default", cache), blobs, Origin())
    for number, revision in enumerate(revisions):
        named = {path: hashlib.sha1(data).hexdigest() for path, data in revision.items()}
        blobs.held |= {named[path]: data for path, data in revision.items()}
        before = dict(files.files)
        change = files.load(Snapshot(revision=Revision(commit=str(number)), files=named))
        anew = {path: load_blob(data, path) for path, data in revision.items() if path != "kustomization.yaml"}
        assert {path: facts(file) for path, file in files.files.items()} == {
            path: facts(one) for path, one in anew.items()
        }
        assert {**{p: f for p, f in before.items() if p not in change.before}, **change.after} == files.files
        assert change.before.items() <= before.items()
        assert [one.place.file for one in files.kustomizations] == [p for p in revision if p == "kustomization.yaml"]
    assert len(blobs.read) == len(set(blobs.read)), "a blob was parsed twice"


def test_a_blob_that_cannot_be_read_leaves_everything_as_it_was(tmp_path: Path) -> None:
    blobs = Blobs({"1" * 40: CLAIM.encode()})
    files = LoadedFiles(FileLoader("default"), blobs, Origin())
    files.load(Snapshot(revision=Revision(commit="1"), files={"a.yaml": "1" * 40}))
    before = dict(files.files)
    with pytest.raises(KeyError):
        files.load(Snapshot(revision=Revision(commit="2"), files={"b.yaml": "1" * 40, "c.yaml": "2" * 40}))
    assert files.files == before
    blobs.held["2" * 40] = CLAIM.encode()
    change = files.load(Snapshot(revision=Revision(commit="2"), files={"b.yaml": "1" * 40, "c.yaml": "2" * 40}))
    assert set(change.before) == {"a.yaml"} and set(change.after) == set(files.files) == {"b.yaml", "c.yaml"}


SEALED = b"""\
apiVersion: v1
kind: Secret
metadata: {name: a}
stringData: {password: "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"}
sops: {mac: x, version: 3.9.0, lastmodified: "2026-01-01T00:00:00Z"}
"""


def test_a_file_with_sealed_documents_is_never_put_into_the_cache(cache: FileCache) -> None:
    blob = hashlib.sha1(SEALED).hexdigest()
    blobs = Blobs({blob: SEALED, blob[::-1]: CLAIM.encode()})
    files = LoadedFiles(FileLoader("default", cache), blobs, Origin())
    files.load(Snapshot(revision=Revision(commit="1"), files={"a.yaml": blob, "b.yaml": blob[::-1]}))
    assert files.files["a.yaml"].sealed == SEALED
    assert cache.get(blob) is None
    assert cache.get(blob[::-1]) is not None


def test_every_field_of_a_loaded_file_is_packed_or_left_out_on_purpose() -> None:
    packed = {"documents", "invalid", "unidentified", "warnings", "parts"}
    given_again, never_there = {"file", "origin"}, {"sealed", "outside"}
    assert {field.name for field in fields(LoadedFile)} == packed | given_again | never_there
    assert {field.name for field in fields(InvalidDocument)} == {"key", "place", "problems", "wave"}
    assert {field.name for field in fields(Problem)} == {
        *("code", "severity", "place", "message", "object", "path", "hint")
    }
