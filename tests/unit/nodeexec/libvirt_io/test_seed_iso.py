"""Seed images, read back by an ISO reader."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pycdlib
import pytest

from nodeexec.libvirt.seed_iso import build_seed_iso
from reconciler.model.secret import Secret


def read_back(image: bytes, *, path_kind: str) -> tuple[str, dict[str, bytes]]:
    """(volume label, content by path)."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    found = {}
    for directory, _, files in iso.walk(**{path_kind: "/"}):
        for name in files:
            content = io.BytesIO()
            path = f"{directory.rstrip('/')}/{name}"
            iso.get_file_from_iso_fp(content, **{path_kind: path})
            found[path.lstrip("/")] = content.getvalue()
    label = iso.pvd.volume_identifier.decode().strip()
    iso.close()
    return label, found


@pytest.mark.parametrize("path_kind", ["rr_path", "joliet_path"])
@pytest.mark.parametrize(
    ("label", "files"),
    [
        ("cidata", {"meta-data": b"instance-id: x\n", "user-data": b"#cloud-config\n", "network-config": b""}),
        ("config-2", {"openstack/latest/meta_data.json": b"{}", "openstack/latest/user_data": b"#!/bin/sh\n" * 9000}),
    ],
)
def test_every_file_is_on_it_under_both_naming_schemes(label: str, files: Mapping[str, bytes], path_kind: str) -> None:
    image = build_seed_iso(label, {path: Secret(content) for path, content in files.items()})
    assert read_back(image, path_kind=path_kind) == (label, dict(files))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a//b", "", "a/../b", "x\ny"])
def test_a_path_stays_on_the_image(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        build_seed_iso("cidata", {path: Secret(b"x")})
