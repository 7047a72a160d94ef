"""Which entries of a tree are read, which are refused and why, and what a change costs."""

from __future__ import annotations

import random

import pygit2
import pytest

from reconciler.model.revision import SourceState
from reconciler.source.errors import TooLargeError
from reconciler.source.limits import DEFAULT_LIMITS, SourceLimits
from reconciler.source.tree_objects import parse_tree
from reconciler.source.trees import TreeReader


def test_what_is_not_a_plain_file_is_refused_with_a_reason(upstream, make_source):
    upstream.commit({"ok.yaml": "a: 1\n", "big.yaml": "#" * 2000})
    (upstream.path / "link.yaml").symlink_to("/etc/passwd")
    (upstream.path / "directory").symlink_to("/etc")
    upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    upstream.git("add", "link.yaml", "directory")
    upstream.git("commit", "-q", "-m", "odd")
    source = make_source(limits=SourceLimits(blob_bytes=1000))
    source.fetch()
    snapshot = source.accepted()
    assert list(snapshot.files) == ["ok.yaml"]
    reasons = dict(snapshot.refused)
    assert list(reasons) == ["big.yaml", "directory", "link.yaml", "module"]
    assert "2000 bytes" in reasons["big.yaml"]
    assert "symbolic link" in reasons["link.yaml"]
    assert "submodule" in reasons["module"]


def test_hostile_names_are_refused_and_shown_harmlessly(upstream, make_source):
    blob = upstream.blob(b"a: 1\n")
    names = [
        b"..",
        b"a\x1b[2J.yaml",
        b"b\n.yaml",
        b"c\xff.yaml",
        b"d\xe2\x80\xae.yaml",
        b"e/../../x.yaml",
        b"n" * 300 + b".yaml",
        "ok ü.yaml".encode(),
        b"\xff-no-manifest.txt",
    ]
    upstream.commit_tree([("100644", "blob", blob, name) for name in names])
    tree = upstream.git("rev-parse", "main^{tree}")
    upstream.commit_tree(
        [("40000", "tree", tree, b".."), ("40000", "tree", tree, b"\xfe"), ("40000", "tree", tree, b"s")]
    )
    source = make_source()
    status = source.fetch()
    assert status.state == SourceState.READY, status.message
    snapshot = source.accepted()
    assert list(snapshot.files) == ["s/ok ü.yaml"]
    # A file named ``..`` is no manifest; as a directory it is refused.
    assert len(snapshot.refused) == 8
    assert all(path.isprintable() and reason for path, reason in snapshot.refused)


def test_a_tree_bomb_is_refused_in_bounded_time(upstream, make_source):
    upstream.commit({"ok.yaml": "a: 1\n"})
    tree = upstream.git("rev-parse", "main^{tree}")
    for _ in range(12):
        listing = "".join(f"040000 tree {tree}\td{number}\n" for number in range(10))
        tree = upstream.git("mktree", data=listing.encode())
    commit = upstream.git("commit-tree", tree, "-m", "bomb", "-p", "main")
    source = make_source(limits=SourceLimits(files=10_000))
    source.fetch()
    upstream.git("update-ref", "refs/heads/main", commit)
    assert source.fetch().state == SourceState.REFUSED
    assert list(source.accepted().files) == ["ok.yaml"]


def test_deep_directories_are_refused(upstream, make_source):
    upstream.commit({"ok.yaml": "a: 1\n", "/".join(["d"] * 70) + "/x.yaml": "a: 1\n"})
    source = make_source()
    source.fetch()
    assert list(source.accepted().files) == ["ok.yaml"]
    assert "deep" in source.accepted().refused[0][1]


def random_files(chance: random.Random) -> dict[str, tuple[str, str]]:
    """path → (mode, text) of a random little tree, with a file where another one has a directory."""
    names = [
        "a.yaml",
        "b.yml",
        "c.json",
        "d.md",
        "x/a.yaml",
        "x/y/a.yaml",
        "x/y/b.yaml",
        ".hid/a.yaml",
        "z",
        "z/a.yaml",
    ]
    chosen = {name for name in names if chance.random() < 0.5}
    if "z/a.yaml" in chosen:
        chosen.discard("z")
    return {name: (chance.choice(["100644", "100755", "120000"]), str(chance.randint(0, 2))) for name in sorted(chosen)}


def write_tree(repository: pygit2.Repository, files: dict[str, tuple[str, str]]) -> bytes:
    index = pygit2.Index()
    for name, (mode, text) in files.items():
        index.add(pygit2.IndexEntry(name, repository.create_blob(text.encode()), pygit2.enums.FileMode(int(mode, 8))))
    return index.write_tree(repository).raw


def test_a_listing_by_change_equals_a_listing_from_nothing(tmp_path):
    repository = pygit2.init_repository(str(tmp_path / "r"), bare=True)
    chance = random.Random(7)
    reader = TreeReader(repository, DEFAULT_LIMITS)
    known = reader.list(write_tree(repository, random_files(chance)), "p/")
    for _ in range(200):
        tree = write_tree(repository, random_files(chance))
        known = reader.list(tree, "p/", known)
        anew = reader.list(tree, "p/")
        assert list(known.files.items()) == list(anew.files.items())
        assert known.refused == anew.refused


def test_unchanged_trees_are_not_opened(tmp_path, monkeypatch):
    repository = pygit2.init_repository(str(tmp_path / "r"), bare=True)
    files = {f"dir{number}/{name}.yaml": ("100644", "x") for number in range(50) for name in "abcd"}
    reader = TreeReader(repository, DEFAULT_LIMITS)
    known = reader.list(write_tree(repository, files), "")
    changed = write_tree(repository, {**files, "dir7/a.yaml": ("100644", "y")})
    opened = []
    real = reader.raw
    monkeypatch.setattr(reader, "raw", lambda tree: (opened.append(tree), real(tree))[1])
    assert len(reader.list(changed, "", known).files) == 200
    assert len(opened) == 2  # root and dir7


def test_more_files_than_allowed(tmp_path):
    repository = pygit2.init_repository(str(tmp_path / "r"), bare=True)
    reader = TreeReader(repository, SourceLimits(files=2))
    with pytest.raises(TooLargeError):
        reader.list(write_tree(repository, {f"{n}.yaml": ("100644", "") for n in range(3)}), "")


@pytest.mark.parametrize("data", [b"garbage", b"100644 a\0short", b"100644 nonul", b"9x a\0" + b"1" * 20])
def test_what_is_not_a_tree(data):
    with pytest.raises(ValueError, match=r".+"):
        parse_tree(data)
