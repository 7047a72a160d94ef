"""Disk images that would make QEMU open something else, or claim what they are not. None reaches a guest."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nodeexec.libvirt.image_check import BadImageError, bounded, inspect_image
from nodeexec.libvirt.settings import GIB, ImportLimits
from nodeexec.libvirt.volume_files import VolumeError, run_tool

LIMITS = ImportLimits()
SECRET = b"root:$6$secret\n"

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def made(path: Path, *arguments: str) -> Path:
    """An image made by qemu-img."""
    subprocess.run(["qemu-img", "create", "-q", *arguments], check=True, capture_output=True, cwd=path.parent)
    return path


def refused(path: Path, limits: ImportLimits = LIMITS) -> str:
    with pytest.raises(BadImageError) as caught:
        inspect_image(path, limits)
    return str(caught.value)


def qcow2_with_backing(path: Path, name: bytes) -> Path:
    """A qcow2 header that names ``name`` as its backing file, whether such a one is there or not."""
    made(path, "-f", "qcow2", path.name, "1M")
    with path.open("r+b") as file:
        file.seek(8)
        file.write(struct.pack(">QI", 512, len(name)))
        file.seek(512)
        file.write(name)
    return path


@pytest.mark.parametrize(
    "name",
    [b"/etc/shadow", b'json:{"driver":"nbd","host":"169.254.169.254"}', b"nbd://127.0.0.1:10809/x", b"ssh://root@h/etc/shadow",
     b"fd:0", b"\xff\xfe", b"../../../etc/shadow"],
)  # fmt: skip
def test_a_backing_file_of_any_spelling_is_refused(name: bytes, tmp_path: Path) -> None:
    assert "backing file" in refused(qcow2_with_backing(tmp_path / "disk.qcow2", name))


def test_a_data_file_is_never_opened(tmp_path: Path) -> None:
    """QEMU opens a data file as soon as it looks at the image; the refusal comes before it looks."""
    data = tmp_path / "data.raw"
    image = made(tmp_path / "disk.qcow2", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", "disk.qcow2", "1M")
    data.unlink()
    os.mkfifo(data)  # opening it for reading would hang
    assert "data in another file" in refused(image)


def test_vmdk_files_that_name_others(tmp_path: Path) -> None:
    text = tmp_path / "text.vmdk"
    text.write_bytes(b'# Disk DescriptorFile\nversion=1\nRW 2048 FLAT "/etc/shadow" 0\n')
    assert "names other files" in refused(text)
    flat = made(tmp_path / "flat.vmdk", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", "flat.vmdk", "1M")
    assert "names other files" in refused(flat)
    # A sparse header of capacity 0 leads to the description in it, which leads anywhere.
    whole = made(tmp_path / "whole.vmdk", "-f", "vmdk", "whole.vmdk", "1M")
    assert inspect_image(whole, LIMITS).format == "vmdk"
    data = bytearray(whole.read_bytes())
    empty = bytearray(data)
    empty[12:20] = bytes(8)
    (tmp_path / "empty.vmdk").write_bytes(empty)
    assert "several files" in refused(tmp_path / "empty.vmdk")
    split = bytes(data).replace(b'createType="monolithicSparse"', b'createType="monolithicFlat"  ')
    (tmp_path / "split.vmdk").write_bytes(split)
    assert "several files" in refused(tmp_path / "split.vmdk")
    child = bytes(data).replace(b"parentCID=ffffffff", b"parentCID=deadbeef")
    (tmp_path / "child.vmdk").write_bytes(child)
    assert "backing file" in refused(tmp_path / "child.vmdk")


def test_absurd_sizes(tmp_path: Path) -> None:
    huge = made(tmp_path / "huge.qcow2", "-f", "qcow2", "-o", "cluster_size=2M", "huge.qcow2", "8P")
    assert "is a disk of 9007199254740992 bytes; the limit is" in refused(huge)
    empty = tmp_path / "empty.raw"
    empty.touch()
    assert "disk of 0 bytes" in refused(empty)
    odd = tmp_path / "odd.raw"
    odd.write_bytes(b"x" * 1000)
    assert inspect_image(odd, LIMITS).size_bytes == 1024


def test_encrypted_images_snapshots_and_unknown_features(tmp_path: Path) -> None:
    luks = made(
        tmp_path / "luks.qcow2", "-f", "qcow2", "--object", "secret,id=s,data=x",
        "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "luks.qcow2", "1M",
    )  # fmt: skip
    assert "encrypted" in refused(luks)
    bare = tmp_path / "bare.luks"
    bare.write_bytes(b"LUKS\xba\xbe" + bytes(2000))
    assert "encrypted" in refused(bare)
    saved = made(tmp_path / "saved.qcow2", "-f", "qcow2", "saved.qcow2", "1M")
    subprocess.run(["qemu-img", "snapshot", "-c", "before", str(saved)], check=True)
    assert "1 snapshots" in refused(saved)
    new = made(tmp_path / "new.qcow2", "-f", "qcow2", "new.qcow2", "1M")
    with new.open("r+b") as file:
        file.seek(72)
        file.write((1 << 40).to_bytes(8, "big"))
    assert "features" in refused(new)


@pytest.mark.parametrize("extension", ["qcow2", "vmdk", "vdi", "vhdx", "vpc"])
def test_what_is_well_made_is_taken_and_any_cut_of_it_ends_in_time(extension: str, tmp_path: Path) -> None:
    image = made(tmp_path / f"disk.{extension}", "-f", extension, f"disk.{extension}", "8M")
    facts = inspect_image(image, LIMITS)
    assert facts.format == extension
    assert 8 << 20 <= facts.size_bytes < 9 << 20
    data = image.read_bytes()
    for cut in (5, 70, 100, 600, len(data) // 2):
        image.write_bytes(data[:cut])
        try:
            facts = inspect_image(image, LIMITS)
        except VolumeError as error:
            assert str(error)
        else:
            assert facts.size_bytes < 9 << 20


def test_damaged_headers_end_in_a_reason(tmp_path: Path) -> None:
    image = made(tmp_path / "disk.qcow2", "-f", "qcow2", "disk.qcow2", "1M")
    data = image.read_bytes()
    for at, value in ((20, 200), (36, 0xFFFFFFFF), (40, 1 << 62), (48, 3), (56, 0xFFFFFFFF), (100, 0xFFFFFFFF)):
        broken = bytearray(data)
        broken[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "big")
        image.write_bytes(broken)
        try:
            facts = inspect_image(image, LIMITS)
        except VolumeError as error:
            assert "looking at the image" in str(error) or "refused" in str(error)
        else:
            assert facts.size_bytes == 1 << 20


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>404</html>", b"\xef\xbb\xbf  <HTML>no", b'<?xml version="1.0"?><Error/>']
)
def test_an_error_page_is_not_a_disk(page: bytes, tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(page.ljust(1024))
    assert "web page" in refused(path)


def test_what_looks_is_bounded(tmp_path: Path) -> None:
    image = made(tmp_path / "disk.qcow2", "-f", "qcow2", "disk.qcow2", "1M")
    with pytest.raises(VolumeError):
        inspect_image(image, replace(LIMITS, inspect_memory_bytes=1 << 20))
    limits = run_tool(bounded(["sh", "-c", "ulimit -v; ulimit -t"], memory_bytes=GIB, cpu_s=7), "looking")
    assert limits.split() == [b"1048576", b"7"]
    with pytest.raises(VolumeError, match="did not end"):
        run_tool(bounded(["sleep", "5"], memory_bytes=GIB), "looking", timeout_s=0.2)
    if os.geteuid() == 0:
        interfaces = run_tool(bounded(["cat", "/proc/net/dev"], memory_bytes=GIB), "looking")
        assert interfaces.count(b":") == 1  # loopback alone, and that is down
