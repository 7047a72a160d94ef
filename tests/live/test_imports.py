"""Imports from a real web server: in the background, checked, resumable, and never in anybody's way."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.outcome import Result
from reconciler.model.quantity import MIB
from tests.contract.builders import create, delete, is_ready, update
from tests.live.conftest import LiveHost
from tests.live.image_server import PIECE_BYTES, ImageServer

pytestmark = pytest.mark.live

CONTENT = hashlib.sha256(b"gitvirt").digest() * (MIB // 32)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    made = ImageServer({})
    yield made
    made.close()


def http(server: ImageServer, name: str, **more: str) -> dict[str, Any]:
    return {"http": {"url": server.url(name), **more}}


def content_of(path: Path) -> bytes:
    raw = path.with_suffix(".check")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    data = raw.read_bytes()
    raw.unlink()
    return data


def failed(host: LiveHost, volume: Any) -> str:
    host.until(lambda: host.volume(volume.key).phase == "Failed")
    return host.volume(volume.key).reason


def test_a_slow_import_shows_progress_and_delays_nobody(libvirt_engine: LiveHost, server: ImageServer) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    server.hold("disk.raw", 4 * PIECE_BYTES)
    volume = host.site.data_volume("root", http(server, "disk.raw"))
    outcome = host.engine.apply(create(volume))
    assert outcome.result is Result.PROGRESSING
    other = host.site.claim("other")
    host.applied(create(other))
    assert is_ready(host.look(other.key))
    seen = host.until(lambda: host.volume(volume.key).progress)
    server.hold("disk.raw", 8 * PIECE_BYTES)
    host.until(lambda: (host.volume(volume.key).progress or 0.0) > max(seen, 0.25))
    assert host.volume(volume.key).phase == "ImportInProgress"
    host.forget_events()
    server.release("disk.raw")
    host.until(lambda: is_ready(host.look(volume.key)))
    host.next_event(volume.key)
    data = content_of(host.pool / host.volume(volume.key).volume)
    assert data[:MIB] == CONTENT
    assert len(data) == 16 * MIB
    host.until(
        lambda: not list((host.pool / ".gitvirt" / "incoming").iterdir())
    )  # the name comes before the tidying up
    assert host.engine.compare(volume, host.volume(volume.key)) == ()


def test_packed_images_are_unpacked_and_the_checksum_is_of_the_file(
    libvirt_engine: LiveHost, server: ImageServer
) -> None:
    host = libvirt_engine
    server.files |= {"disk.raw.gz": gzip.compress(CONTENT), "disk.raw.xz": lzma.compress(CONTENT)}
    for name in ("gz", "xz"):
        packed = server.files[f"disk.raw.{name}"]
        checksum = f"sha256:{hashlib.sha256(packed).hexdigest()}"
        volume = host.made(host.site.data_volume(f"from-{name}", http(server, f"disk.raw.{name}", checksum=checksum)))
        assert content_of(host.pool / host.volume(volume.key).volume)[:MIB] == CONTENT


def test_a_wrong_checksum_fails_without_a_volume(libvirt_engine: LiveHost, server: ImageServer) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    volume = host.site.data_volume("root", http(server, "disk.raw", checksum="sha256:" + "0" * 64))
    host.engine.apply(create(volume))
    reason = failed(host, volume)
    assert "checksum" in reason
    assert hashlib.sha256(CONTENT).hexdigest() in reason
    assert "sesame" not in reason
    assert [entry.name for entry in host.pool.iterdir()] == [".gitvirt"]


def test_an_image_that_names_another_file_is_refused(
    libvirt_engine: LiveHost, server: ImageServer, tmp_path: Path
) -> None:
    host = libvirt_engine
    base, evil, split = tmp_path / "base.qcow2", tmp_path / "evil.qcow2", tmp_path / "split.qcow2"
    for command in (
        ["-f", "qcow2", str(base), "1M"],
        ["-f", "qcow2", "-b", str(base), "-F", "qcow2", str(evil)],
        ["-f", "qcow2", "-o", f"data_file={tmp_path}/split.data", str(split), "1M"],
    ):
        subprocess.run(["qemu-img", "create", "-q", *command], check=True)
    server.files |= {
        "evil.qcow2": evil.read_bytes(),
        "split.qcow2": split.read_bytes(),
        "names.vmdk": b'# Disk DescriptorFile\nversion=1\nRW 2048 FLAT "/etc/shadow" 0\n',
    }
    for name, word in (("evil.qcow2", "backing file"), ("split.qcow2", "another file"), ("names.vmdk", "other files")):
        volume = host.site.data_volume(name.partition(".")[0], http(server, name))
        host.engine.apply(create(volume))
        assert word in failed(host, volume)


def test_an_image_larger_than_the_claim_fails_and_says_what_to_raise(
    libvirt_engine: LiveHost, server: ImageServer
) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    volume = host.site.data_volume("root", http(server, "disk.raw"), size="512Ki")
    host.engine.apply(create(volume))
    assert "raise resources.requests.storage" in failed(host, volume)


def test_a_broken_download_is_tried_again_when_its_time_has_come(libvirt_engine: LiveHost, server: ImageServer) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    server.cut_after["disk.raw"] = 1 << 18
    volume = host.site.data_volume("root", http(server, "disk.raw"))
    host.engine.apply(create(volume))
    failed(host, volume)
    live = host.volume(volume.key)
    assert live.retry_at is not None
    assert host.engine.apply(create(volume)).result is Result.PROGRESSING
    host.until(lambda: is_ready(host.look(volume.key)))
    assert server.asked["disk.raw"] == 2


def test_an_import_is_seen_from_beside_and_taken_up_after_a_crash(
    libvirt_engine: LiveHost, server: ImageServer
) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    server.hold("disk.raw", 4 * PIECE_BYTES)
    volume = host.site.data_volume("root", http(server, "disk.raw"))
    host.engine.apply(create(volume))
    host.until(lambda: host.volume(volume.key).progress)
    beside = host.new_engine()
    assert beside.observe([volume.key]).objects[volume.key].phase == "ImportInProgress"
    server.release("disk.raw")
    host.until(lambda: is_ready(host.look(volume.key)))
    assert server.asked["disk.raw"] == 1

    second = host.site.data_volume("second", http(server, "disk.raw"))
    leave_as_after_a_crash(host, second)
    live = host.volume(second.key)
    assert (live.phase, live.marks is not None) == ("ImportScheduled", True)
    assert host.engine.apply(create(second)).result is Result.PROGRESSING
    host.until(lambda: is_ready(host.look(second.key)))


def leave_as_after_a_crash(host: LiveHost, volume: Any) -> None:
    """What a killed daemon leaves behind: a request, a part of the file, and nobody at work."""
    from nodeexec.libvirt.imports import Imports

    original = Imports._work
    Imports._work = lambda *_: None
    try:
        host.engine.apply(create(volume))
        # The worker looks up what it has to do when it comes to it.
        host.until(lambda: host.volume(volume.key).phase == "ImportScheduled", every_s=0.02)
    finally:
        Imports._work = original
    directory = host.pool / ".gitvirt" / "incoming" / f"{volume.key.namespace}_{volume.key.name}.qcow2"
    (directory / "part").write_bytes(b"half of it")


def test_deleting_an_import_under_way_stops_it(libvirt_engine: LiveHost, server: ImageServer) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    server.hold("disk.raw", 4 * PIECE_BYTES)
    volume = host.site.data_volume("root", http(server, "disk.raw"))
    host.engine.apply(create(volume))
    host.until(lambda: host.volume(volume.key).progress)
    there = host.volume(volume.key)
    threading.Timer(0.2, server.release, ("disk.raw",)).start()  # what comes next is not wanted any more
    host.settle(lambda live: delete(live or there), volume.key)
    assert host.look(volume.key) is None
    assert not list((host.pool / ".gitvirt" / "incoming").iterdir())


def test_a_slow_server_keeps_nobody_else_from_importing(libvirt_engine: LiveHost, server: ImageServer) -> None:
    """Two places are all that one server gets; who waits is told so, and is called when it is his turn."""
    host = libvirt_engine
    server.files |= {"slow.raw": CONTENT, "quick.raw": CONTENT[: MIB // 2]}
    server.hold("slow.raw", 4 * PIECE_BYTES)
    slow = [host.site.data_volume(f"slow-{number}", http(server, "slow.raw")) for number in range(3)]
    for volume in slow:
        host.engine.apply(create(volume))
    waiting = host.volume(slow[2].key)
    assert (waiting.phase, waiting.reason) == ("ImportScheduled", "it waits for its turn")
    other = server.url("quick.raw").replace("127.0.0.1", "localhost")
    quick = host.site.data_volume("quick", {"http": {"url": other}})
    host.forget_events()
    host.made(quick)
    assert not is_ready(host.look(slow[2].key))
    server.release("slow.raw")
    host.next_event(slow[2].key)
    host.engine.apply(create(slow[2]))
    for volume in slow:
        host.until(lambda key=volume.key: is_ready(host.look(key)))


def test_a_full_pool_fails_the_import_and_stays_usable(libvirt_engine: LiveHost, server: ImageServer) -> None:
    host = libvirt_engine
    host.pool.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0755", "gitvirt-test", str(host.pool)], check=True)
    try:
        server.files |= {"large.raw": os.urandom(16 * MIB), "grows.raw": os.urandom(8 * MIB), "small.raw": CONTENT}
        for name in ("large", "grows"):  # full while downloading, and while converting
            volume = host.site.data_volume(name, http(server, f"{name}.raw"), size="32Mi")
            host.engine.apply(create(volume))
            reason = failed(host, volume)
            assert "full" in reason or "No space left" in reason
            assert [path.name for path in host.pool.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []
            host.applied(delete(host.volume(volume.key)))
        volume = host.made(host.site.data_volume("small", http(server, "small.raw")))
        assert content_of(host.pool / host.volume(volume.key).volume)[:MIB] == CONTENT
    finally:
        subprocess.run(["umount", "-l", str(host.pool)], check=True)


def test_a_source_on_loopback_is_refused_unless_the_settings_allow_it(
    libvirt_engine: LiveHost, server: ImageServer
) -> None:
    host = libvirt_engine
    server.files["disk.raw"] = CONTENT
    url = server.url("disk.raw").replace("127.0.0.1", "127.0.0.2")
    volume = host.site.data_volume("root", {"http": {"url": url}})
    host.engine.apply(create(volume))
    reason = failed(host, volume)
    assert "127.0.0.2 is a loopback address" in reason
    assert "sesame" not in reason


def test_what_a_guest_writes_into_a_raw_disk_is_never_read_as_an_image_format(
    libvirt_engine: LiveHost, tmp_path: Path
) -> None:
    """A qcow2 header in a raw disk, naming a file of the host: QEMU, libvirt and a clone all see plain bytes."""
    from reconciler.model.power import PowerStep

    host = libvirt_engine
    volume = host.made(host.site.claim("root", block=True))
    path = host.pool / host.volume(volume.key).volume
    evil = tmp_path / "evil.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", str(evil), "64M"],
        check=True,
    )
    data = evil.read_bytes()
    with path.open("r+b") as file:
        file.write(data)
    assert (host.volume(volume.key).format, host.volume(volume.key).size_bytes) == ("raw", volume.size_bytes)
    vm = host.site.vm("web", disks={"root": volume}, grace_s=0)
    host.applied(create(vm, power=PowerStep.START))
    name = next(d.name() for d in host.connection.listAllDomains() if d.name().startswith(host.site.namespace))
    blocks = subprocess.run(
        ["virsh", "qemu-monitor-command", name, "--hmp", "info block"], capture_output=True, text=True, check=True
    ).stdout
    assert f"{path} (raw)" in blocks
    assert "shadow" not in blocks
    host.applied(update(vm, host.vm(vm.key), power=PowerStep.STOP))
    clone = host.made(host.site.data_volume("copy", {"pvc": {"name": "root", "namespace": host.site.namespace}}))
    copied = host.pool / host.volume(clone.key).volume
    assert content_of(copied)[: len(data)] == data


def test_a_running_source_is_not_cloned(libvirt_engine: LiveHost) -> None:
    from reconciler.model.power import PowerStep

    host = libvirt_engine
    source = host.made(host.site.claim("golden"))
    vm = host.site.vm("web", disks={"root": source}, grace_s=0)
    host.applied(create(vm, power=PowerStep.START))
    clone = host.site.data_volume("copy", {"pvc": {"name": "golden", "namespace": host.site.namespace}})
    outcome = host.engine.apply(create(clone))
    assert outcome.result is Result.PROGRESSING
    assert str(vm.key) in outcome.reason
    host.applied(update(vm, host.vm(vm.key), power=PowerStep.STOP))
    host.made(clone)
