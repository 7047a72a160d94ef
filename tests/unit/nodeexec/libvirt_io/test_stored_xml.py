"""Redefinition keeps what gitvirt will not take away: hand-added disks, and disks that run through a snapshot."""

from __future__ import annotations

import pytest
from lxml import etree

from nodeexec.libvirt.domain_xml import build
from nodeexec.libvirt.flavour import NOTHING_CARRIED, Flavour
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.stored_xml import changed_definition
from reconciler.model.domain import ClaimSource, CpuSpec, DiskSpec, DomainSpec
from reconciler.model.live import Marks
from reconciler.model.plan import Difference, Impact

ROOT = DiskSpec(name="root", source=ClaimSource(namespace="default", claim="web-root", pool="default", format="qcow2"))
SPEC = DomainSpec(
    name="default_web",
    uuid="6c5f6d2e-0000-4000-8000-000000000001",
    serial="s",
    cpu=CpuSpec(),
    memory_mib=128,
    disks=(ROOT,),
)
HOST = Flavour(accelerator="qemu")
MARKS = DomainMarks(marks=Marks(owner="o", host="h", revision="r", applied={}))
OVERLAY = "/var/lib/libvirt/images/web-root.snap1"


@pytest.mark.parametrize(
    "path", ["spec.template.spec.volumes[root]", "spec.template.spec.domain.devices.disks[root].disk"]
)
def test_a_disk_on_a_snapshot_is_never_re_pointed(path: str) -> None:
    stored = build(SPEC, HOST, NOTHING_CARRIED)
    tree = etree.fromstring(stored.encode())
    disk = tree.find("devices/disk")
    assert disk is not None
    disk.set("type", "file")
    source = disk.find("source")
    assert source is not None
    source.attrib.clear()
    source.set("file", OVERLAY)
    refused = Difference(
        path=path,
        before=OVERLAY,
        after="web-root",
        impact=Impact.RESTART,
        reason="overlay",
        refused="a snapshot's overlay",
    )
    text = changed_definition(SPEC, HOST, MARKS, etree.tostring(tree).decode(), (refused,))
    disks = etree.fromstring(text.encode()).findall("devices/disk")
    assert [found.find("source").get("file") for found in disks] == [OVERLAY]
