"""Trash on real storage: what is used is not destroyed, what cannot be read of an age counts as none, and nobody touches another's items."""

from __future__ import annotations

import json
from pathlib import Path

import libvirt
import pytest

from reconciler.model.live import LiveVolume, TrashItem
from reconciler.model.outcome import Result
from tests.contract.builders import delete, expire
from tests.live.conftest import LiveHost


def trashed(host: LiveHost) -> tuple[TrashItem, Path]:
    """A claim in the trash, and its file there."""
    claim = host.made(host.site.claim("data"))
    live = host.look(claim.key)
    assert isinstance(live, LiveVolume)
    host.applied(delete(live))
    (item,) = host.engine.observe([claim.key]).trash
    (file,) = (host.pool / ".gitvirt" / "trash" / item.item).glob("*.qcow2")
    return item, file


def watched_for(host: LiveHost, item: TrashItem, file: Path, aged_s: float) -> None:
    """As if the item had been seen for so long."""
    host.engine.note_trash_ages()
    path = file.parent / "age.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "aged_s": aged_s}))
    assert host.engine.observe([item.key]).trash[0].aged_s >= aged_s


def test_a_disk_that_a_domain_names_in_the_trash_is_not_destroyed(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    item, file = trashed(host)
    watched_for(host, item, file, 7200)
    rescue = host.connection.defineXML(
        f"<domain type='qemu'><name>{host.site.namespace}-rescue</name><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>"
        f"<driver name='qemu' type='qcow2'/><source file='{file}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"
    )
    try:
        for outcome in (host.engine.empty_trash(item.item), host.engine.apply(expire(item, aged_s=3600))):
            assert outcome.result is Result.REFUSED
            assert "rescue" in outcome.reason
            assert file.exists()
    finally:
        rescue.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    assert host.engine.apply(expire(item, aged_s=3600)).result is Result.APPLIED
    assert not file.parent.exists()


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"aged_s": 1e12}', '{"aged_s": "NaN", "boot_id": "", "monotonic_s": 0, "noted_at": "x"}']
)
def test_an_age_that_cannot_be_read_is_none(libvirt_engine: LiveHost, note: str) -> None:
    host = libvirt_engine
    item, file = trashed(host)
    (file.parent / "age.json").write_text(note)
    assert host.engine.observe([item.key]).trash[0].aged_s == 0.0
    assert host.engine.apply(expire(item, aged_s=3600)).result is Result.CONFLICT
    assert host.engine.note_trash_ages().result is Result.APPLIED
    assert host.engine.observe([item.key]).trash[0].aged_s < 60.0
    assert file.exists()


def test_another_hosts_item_is_not_aged_and_does_not_expire(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    item, file = trashed(host)
    watched_for(host, item, file, 7200)
    facts = file.parent / "item.json"
    data = json.loads(facts.read_text())
    data["marks"] = data["marks"].replace(host.site.policy.host, "elsewhere")
    facts.write_text(json.dumps(data))
    assert host.engine.observe([item.key]).trash[0].host == "elsewhere"
    outcome = host.engine.apply(expire(item, aged_s=3600))
    assert (outcome.result, "deleted by host elsewhere" in outcome.reason) == (Result.REFUSED, True)
    (file.parent / "age.json").unlink()
    assert host.engine.note_trash_ages().result is Result.UNCHANGED
    assert file.exists()


def test_another_owners_item_is_not_there(libvirt_engine: LiveHost) -> None:
    host = libvirt_engine
    item, file = trashed(host)
    watched_for(host, item, file, 7200)
    facts = file.parent / "item.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "owner": "somebody"}))
    assert host.engine.observe(None).trash == ()
    assert host.engine.apply(expire(item, aged_s=3600)).result is Result.UNCHANGED
    assert host.engine.empty_trash(item.item).result is Result.REFUSED
    assert file.exists()
