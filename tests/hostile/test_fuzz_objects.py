"""Random Git trees and random image headers: what is not well made is refused, and nothing else is raised."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeexec.libvirt.image_header import BadHeaderError, format_of
from reconciler.model.errors import SourceError
from reconciler.model.plain_text import is_plain
from reconciler.source.limits import SourceLimits
from reconciler.source.trees import TreeReader
from tests.hostile.repository import Repository

BOUNDS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
MODES = st.sampled_from([b"100644", b"100755", b"40000", b"120000", b"160000", b"040000", b"0", b"777777", b"100664"])
NAMES = st.one_of(
    st.sampled_from(
        [b"..", b".", b".git", b"a.yaml", b"A.yaml", b"CON.yaml", b"a\\b.yaml", b"\xff.yaml", b"\x1b[2J.yaml", b"-rf.yaml",
         b"x" * 300 + b".yaml", "\u202e.yaml".encode(), b" .yaml", b".yaml", b"a.YAML", b"a.json", b"", b"a/b.yaml"]
    ),
    st.binary(max_size=12).filter(lambda name: b"\0" not in name),
)  # fmt: skip
LIMITS = SourceLimits(files=200, depth=6)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("trees"))


@given(st.lists(st.lists(st.tuples(MODES, NAMES), max_size=6), min_size=1, max_size=8))
@BOUNDS
def test_trees(repository: Repository, levels: list[list[tuple[bytes, bytes]]]) -> None:
    blob = repository.blob(b"a: b\n")
    tree = repository.tree([])
    for entries in levels:
        tree = repository.tree((mode, name, tree if mode.endswith(b"40000") else blob) for mode, name in entries)
    reader = TreeReader(repository.git, LIMITS)
    try:
        listing = reader.list(bytes.fromhex(tree), "")
    except SourceError as error:
        assert str(error)
        return
    for path in (*listing.files, *listing.refused):
        assert is_plain(path)
    for path in listing.files:
        parts = PurePosixPath(path).parts
        assert not PurePosixPath(path).is_absolute()
        assert ".." not in parts
        assert not any(part.startswith(".") for part in parts)
        assert len(path.encode()) <= LIMITS.path_bytes


@given(st.binary(max_size=300))
@BOUNDS
def test_bytes_as_a_tree(repository: Repository, data: bytes) -> None:
    tree = repository.raw_tree(data)
    try:
        TreeReader(repository.git, LIMITS).list(bytes.fromhex(tree), "")
    except SourceError as error:
        assert str(error)


MAGIC = st.sampled_from(
    [b"QFI\xfb\0\0\0\2", b"QFI\xfb\0\0\0\3", b"KDMV", b"COWD", b"# Disk DescriptorFile", b"vhdxfile", b"conectix", b"LUKS\xba\xbe",
     b"QED\0", b"<!doctype html", b"\0" * 64 + b"\x7f\x10\xda\xbe", b"\x1f\x8b", b""]
)  # fmt: skip


@given(MAGIC, st.binary(max_size=600), st.booleans())
@BOUNDS
def test_image_headers(tmp_path_factory: pytest.TempPathFactory, magic: bytes, rest: bytes, footer: bool) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "image"
    path.write_bytes(magic + rest + (b"conectix" + bytes(504) if footer else b""))
    try:
        assert format_of(path) in ("qcow2", "vmdk", "vdi", "vhdx", "vpc", "raw")
    except BadHeaderError as error:
        assert is_plain(str(error))
