"""Listing a revision by what changed gives what listing it from nothing gives, for trees that Git would never write too."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.model.file_tree import changed_files
from reconciler.source.limits import DEFAULT_LIMITS
from reconciler.source.tree_objects import TreeEntry, differing, in_order, parse_tree
from reconciler.source.trees import TreeReader

NAMES = st.sampled_from(
    [b"a.yaml", b"b.yaml", b"c.json", b"d", b"d.yaml", b"d0.yml", b"e.txt", b".h.yaml", b"\xff.yaml", b"..", b"x" * 300]
)
MODES = st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000])
FILES = st.tuples(NAMES, MODES, st.sampled_from([b"1", b"2", b"3"]))
# (name, (mode, content)) or (name, entries of a directory); as Git writes it, or in any order with names twice.
TREES = st.recursive(
    st.tuples(st.booleans(), st.lists(FILES, max_size=8)),
    lambda inner: st.tuples(st.booleans(), st.lists(FILES | st.tuples(NAMES, inner), max_size=8)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pygit2.Repository]:
    yield pygit2.init_repository(str(tmp_path_factory.mktemp("objects")), bare=True)


def write(repository: pygit2.Repository, described: tuple[bool, list]) -> bytes:
    """Write a tree object exactly as described; its id."""
    is_proper, listed = described
    entries = []
    for item in listed:
        if len(item) == 3:
            name, mode, content = item
            entries.append(TreeEntry(mode, name, repository.create_blob(content).raw))
        else:
            entries.append(TreeEntry(0o040000, item[0], write(repository, item[1])))
    if is_proper:
        entries = sorted({entry.name: entry for entry in entries}.values(), key=lambda entry: entry.order)
    raw = b"".join(b"%o %s\0%s" % entry for entry in entries)
    return repository.odb.write(pygit2.enums.ObjectType.TREE, raw).raw


A_FILE = (b"d.yaml", 0o100644, b"1")
A_DIRECTORY = (b"d.yaml", (True, [(b"a.yaml", 0o100644, b"1")]))


@given(st.lists(TREES, min_size=2, max_size=5))
@example([(True, [A_FILE]), (False, [A_FILE, A_DIRECTORY]), (True, [A_DIRECTORY]), (True, [A_FILE])])
@example([(True, [A_DIRECTORY]), (False, [A_DIRECTORY, A_FILE]), (True, [A_FILE])])
@settings(max_examples=40, deadline=None)
def test_by_change_equals_from_nothing(repository: pygit2.Repository, described: list) -> None:
    reader = TreeReader(repository, DEFAULT_LIMITS)
    known = reader.list(write(repository, described[0]), "p/")
    for one in described[1:]:
        tree = write(repository, one)
        before, known, anew = known, reader.list(tree, "p/", known), reader.list(tree, "p/")
        files = dict(anew.files.items())
        assert list(known.files.items()) == list(files.items())
        assert list(files) == sorted(files) == list(anew.files)
        assert len(known.files) == len(files)
        assert known.refused == anew.refused
        assert known.files.root.refusals == anew.files.root.refusals
        assert all(known.files[path] == blob for path, blob in files.items())
        old = dict(before.files.items())
        wanted = {(path, old.get(path), files.get(path)) for path in old | files if old.get(path) != files.get(path)}
        for new in (known.files, anew.files, files):
            found = list(changed_files(before.files, new))
            assert set(found) == wanted
            assert len(found) == len(wanted)


@given(st.lists(FILES, max_size=12), st.lists(FILES, max_size=12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_differing_entries_are_those_that_a_set_finds(
    repository: pygit2.Repository, one: list, other: list, proper: bool
) -> None:
    old, new = (
        repository.odb.read(pygit2.Oid(raw=write(repository, (kind, files))))[1]
        for kind, files in ((True, one), (proper, other))
    )
    before, after = parse_tree(old), parse_tree(new)
    found = differing(old, new)
    if found is None:
        assert not in_order(after)
    elif in_order(after):
        assert found == ([e for e in before if e not in after], [e for e in after if e not in before])
