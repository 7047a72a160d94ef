"""Encrypted volumes on real libvirt and QEMU: made, filled, cloned, grown, started; and what a lost passphrase costs."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Result
from reconciler.model.policy import StorageClassPolicy
from reconciler.model.power import PowerStep
from reconciler.model.quantity import MIB
from reconciler.model.resolved import ResolvedVolume, SourceKind, VolumeSource
from reconciler.secrets.passphrase import read_passphrase
from tests.contract.builders import Site, create, document, update
from tests.live.conftest import LiveHost
from tests.live.image_server import ImageServer

pytestmark = pytest.mark.live

CONTENT = hashlib.sha256(b"kanari").digest() * (MIB // 32)


@dataclass
class Vault:
    """A host with an encrypted storage class."""

    host: LiveHost
    file: Path

    def volume(self, name: str, source: dict[str, Any] | None = None, size: str = "16Mi") -> ResolvedVolume:
        kind = "DataVolume" if source else "PersistentVolumeClaim"
        claim = {"storageClassName": "vault", "resources": {"requests": {"storage": size}}}
        spec = {"source": source, "storage": claim} if source else {"accessModes": ["ReadWriteOnce"], **claim}
        return self.host.site.declared(document(kind, self.host.site.namespace, name, spec))

    def path(self, volume: ResolvedVolume) -> Path:
        return self.host.pool / self.host.volume(volume.key).volume

    def plain(self, volume: ResolvedVolume, passphrase: str = "correct horse battery") -> bytes:
        """The content, as qemu-img decrypts it."""
        raw = self.host.directory / "raw"
        subprocess.run(
            ["qemu-img", "convert", "--object", f"secret,id=k,data={passphrase}", "-O", "raw", "--image-opts",
             f"driver=qcow2,encrypt.format=luks,encrypt.key-secret=k,file.filename={self.path(volume)}", str(raw)],
            check=True, capture_output=True,
        )  # fmt: skip
        return raw.read_bytes()

    @property
    def secrets(self) -> list[str]:
        return [secret.UUIDString() for secret in self.host.connection.listAllSecrets()]


@pytest.fixture
def vault(libvirt_engine: LiveHost) -> Iterator[Vault]:
    host = libvirt_engine
    file = host.directory / "keys" / "vault"
    file.parent.mkdir(mode=0o700)
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    classes = {"vault": StorageClassPolicy(pool=host.site.policy.default_pool, passphrase_file=str(file))}
    policy = replace(host.site.policy, storage_classes=classes)
    host.engine.close()
    host.engine = host.new_engine(policy=policy, passphrase=lambda name: read_passphrase(name, classes))
    host.site = Site(policy=policy, namespace=policy.default_namespace)
    yield Vault(host, file)
    host.engine.close()


def test_volumes_are_encrypted_from_the_first_byte(vault: Vault) -> None:
    host = vault.host
    server = ImageServer({"disk.raw": CONTENT})
    try:
        blank = host.made(vault.volume("blank"))
        image = host.made(vault.volume("image", {"http": {"url": server.url("disk.raw")}}))
    finally:
        server.close()
    clone = vault.volume("clone")
    source = VolumeSource(kind=SourceKind.CLONE, claim=ObjectKey("PersistentVolumeClaim", image.key.namespace, "image"))
    clone = host.made(replace(clone, source=source, size_bytes=32 * MIB))
    for volume in (blank, image, clone):
        assert host.volume(volume.key).encrypted
        assert CONTENT[:64] not in vault.path(volume).read_bytes()
    assert vault.plain(image)[:MIB] == CONTENT
    assert vault.plain(clone)[:MIB] == CONTENT
    assert len(vault.plain(clone)) == 32 * MIB
    larger = replace(blank, size_bytes=24 * MIB)
    host.applied(update(larger, host.volume(blank.key)))
    assert len(vault.plain(blank)) == 24 * MIB
    open_clone = replace(host.site.claim("open"), source=source)
    host.engine.apply(create(open_clone))
    host.until(lambda: host.volume(open_clone.key).phase == "Failed")
    assert "encrypted" in host.volume(open_clone.key).reason


def test_a_guest_opens_its_disk_and_nothing_keeps_the_passphrase(vault: Vault) -> None:
    host = vault.host
    data, more = host.made(vault.volume("data")), host.made(vault.volume("more"))
    before = vault.secrets
    web = host.site.vm("web", disks={"data": data})
    host.applied(create(web, power=PowerStep.START))
    assert vault.secrets == before
    assert host.engine.compare(web, host.vm(web.key)) == ()
    both = host.site.vm("web", disks={"data": data, "more": more})
    host.applied(update(both, host.vm(web.key)))
    assert host.engine.compare(both, host.vm(web.key)) == ()
    host.applied(update(replace(data, size_bytes=24 * MIB), host.volume(data.key)))
    assert vault.secrets == before
    process = Path(f"/run/libvirt/qemu/{host.domain(web.key).name()}.pid").read_text().strip()
    for said in (Path(f"/proc/{process}/cmdline").read_bytes(), host.domain(web.key).XMLDesc(1).encode()):
        assert b"correct horse" not in said
    host.domain(web.key).destroy()
    host.settle(lambda live: update(both, live, power=PowerStep.START), web.key)
    assert host.domain(web.key).isActive()
    assert vault.secrets == before


def test_a_lost_passphrase_is_an_error_and_never_a_new_disk(vault: Vault) -> None:
    host = vault.host
    data = host.made(vault.volume("data"))
    content = vault.path(data).read_bytes()
    web = host.site.vm("web", disks={"data": data})
    host.applied(create(web))
    for passphrase, mode, says in ((None, 0, "put it back"), ("correct horse battery", 0o644, "chmod 600"),
                                   ("another passphrase, a wrong one", 0o600, "Invalid password")):  # fmt: skip
        vault.file.unlink(missing_ok=True)
        if passphrase is not None:
            vault.file.write_text(passphrase)
            vault.file.chmod(mode)
        outcome = host.engine.apply(update(web, host.vm(web.key), power=PowerStep.START))
        assert outcome.result in (Result.RETRY, Result.FAILED)
        assert says in outcome.reason
        assert "a wrong one" not in outcome.reason
        assert not host.domain(web.key).isActive()
        assert vault.path(data).read_bytes() == content
        if mode != 0o600:
            assert host.engine.apply(create(vault.volume("fresh"))).result is Result.RETRY
            assert host.look(ObjectKey("PersistentVolumeClaim", data.key.namespace, "fresh")) is None
    vault.file.write_text("correct horse battery")
    host.settle(lambda live: update(web, live, power=PowerStep.START), web.key)
    assert host.domain(web.key).isActive()
