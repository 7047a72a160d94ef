"""Whether a pool's directory lies on the filesystem that it is meant to lie on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeexec.libvirt.mounts import unmounted


@pytest.mark.parametrize("named", ["{0}", "{0}/deep/../deep", "{0}/deep"])
def test_a_mount_point_of_the_table_that_is_not_mounted_is_named(tmp_path: Path, named: str) -> None:
    table = tmp_path / "fstab"
    point = tmp_path / "with space"
    escaped = str(point).replace(" ", "\\040")
    table.write_text(f"# a comment\n/dev/vg/root / ext4 defaults 0 1\n/dev/vg/pool {escaped} ext4 nofail 0 2\nproc\n")
    directory = Path(named.format(point)) if ".." not in named else point / "deep"
    assert unmounted(directory, table) == point


def test_what_is_mounted_or_not_in_the_table_is_as_it_is_meant(tmp_path: Path) -> None:
    table = tmp_path / "fstab"
    table.write_text(f"#/dev/sda1 {tmp_path} ext4\nproc /proc proc\nnone /proc/swaps swap\n")
    assert unmounted(tmp_path, table) is None
    assert unmounted(Path("/proc/sys"), table) is None
    assert unmounted(tmp_path, tmp_path / "none") is None
