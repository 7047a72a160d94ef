"""Files, directories, revisions and standard input as input of the commands."""

from __future__ import annotations

import io
import os

import pytest

from reconciler.model.errors import SourceError
from reconciler.source.limits import SourceLimits
from reconciler.source.local import open_input, read_input


def test_one_file_of_any_name(tmp_path):
    (tmp_path / "vm").write_bytes(b"a: 1\n")
    assert list(read_input(str(tmp_path / "vm"))) == [(str(tmp_path / "vm"), b"a: 1\n")]


def test_directory_sorted_without_hidden_and_other_files(tmp_path):
    for name in ("b.yaml", "a/c.yml", "a/d.json", ".git/x.yaml", ".hidden.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "same.yaml").symlink_to("b.yaml")
    (tmp_path / "loop").symlink_to(".")
    names = [name.removeprefix(f"{tmp_path}/") for name, _ in read_input(str(tmp_path))]
    assert names == ["a/c.yml", "a/d.json", "b.yaml", "same.yaml"]


def test_links_out_and_odd_files_are_refused(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "outside.yaml").write_text("secret")
    (tmp_path / "d" / "out.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "d" / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "d" / "ok.yaml").write_text("ok")
    os.mkfifo(tmp_path / "d" / "pipe.yaml")
    with pytest.raises(SourceError, match=r"dangling|out of|regular"):
        list(read_input(str(tmp_path / "d")))
    refused = {}
    files = list(read_input(str(tmp_path / "d"), refused.__setitem__))
    assert [data for _, data in files] == [b"ok"]
    assert {name.rpartition("/")[2] for name in refused} == {"out.yaml", "dangling.yaml", "pipe.yaml"}


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / os.fsdecode(b"x\xff\n.yaml")).write_bytes(b"a: 1\n")
    [(name, data)] = read_input(str(tmp_path))
    assert data == b"a: 1\n"
    assert name.isprintable()
    name.encode()


def test_revisions(upstream):
    upstream.commit({"vms/a.yaml": "one\n", "top.yaml": "t\n"})
    upstream.commit({"vms/a.yaml": "two\n"})
    upstream.git("tag", "-a", "-m", "x", "v1")
    repository = str(upstream.path)
    assert dict(read_input(f"{repository}@HEAD~1")) == {"vms/a.yaml": b"one\n", "top.yaml": b"t\n"}
    assert dict(read_input(f"{repository}@v1:vms")) == {"vms/a.yaml": b"two\n"}
    assert dict(read_input(f"{repository}/vms@main")) == {"vms/a.yaml": b"two\n"}
    assert dict(read_input(f"{repository}/.git@HEAD@{{0}}")) == {"vms/a.yaml": b"two\n", "top.yaml": b"t\n"}
    assert open_input(f"{repository}@v1").revision.author == "Ada"


def test_bare_repository_and_a_path_with_an_at_sign(upstream, tmp_path):
    upstream.commit({"a.yaml": "one\n"})
    upstream.git("clone", "-q", "--bare", ".", str(tmp_path / "x@y.git"))
    assert dict(read_input(f"{tmp_path}/x@y.git@main")) == {"a.yaml": b"one\n"}


@pytest.mark.parametrize("argument", ["{r}@nope", "{r}@HEAD:nope", "{t}/missing", "{r}@", "{r}@main:top.yaml", "a\0b"])
def test_what_is_not_there(upstream, tmp_path, argument):
    if argument != "{r}@":
        upstream.commit({"top.yaml": "t\n"})
    with pytest.raises(SourceError):
        list(read_input(argument.format(r=upstream.path, t=tmp_path)))


def test_a_directory_without_repository(tmp_path):
    with pytest.raises(SourceError, match="not in a Git repository"):
        list(read_input(f"{tmp_path}@HEAD"))


def test_standard_input_and_its_limit():
    found = open_input("-", stdin=io.BytesIO(b"a: 1\n"))
    assert [(name, read()) for name, read in found.files] == [("<stdin>", b"a: 1\n")]
    endless = open_input("-", stdin=io.BytesIO(b"x" * 100), limits=SourceLimits(blob_bytes=10))
    with pytest.raises(SourceError, match="more than 10 bytes"):
        endless.files[0][1]()


def test_a_file_without_end_is_read_to_the_limit_only():
    with pytest.raises(SourceError, match="more than"):
        list(read_input("/dev/zero"))
