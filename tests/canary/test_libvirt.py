"""The same secrets on real libvirt and QEMU: definitions, marks, processes, files and their modes."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.canary.home import CanaryHome
from tests.canary.places import ProcessWatch, extended_attributes, readable_by_others, repository_objects
from tests.live.requirement import require_libvirt

pytestmark = pytest.mark.live

VMS = ("inline", "encoded", "plain", "sealed", "hosted", "sealed-inline")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, CanaryHome]]:
    """A repository, a daemon with secrets and a pool of this test's own."""
    require_libvirt()
    from tests.live.end_to_end.world import World

    class CanaryWorld(World):
        canary: CanaryHome

        def _settings(self, bare: Path) -> dict[str, Any]:
            more = {"secrets": self.canary.secrets_settings, "log": {"level": "debug", "format": "json"}}
            return {**super()._settings(bare), **more}

    image = tmp_path / "image.raw"
    image.write_bytes(bytes(1 << 20))
    made = CanaryWorld(image)
    try:
        private = made.directory / "canary"
        private.mkdir(mode=0o755)
        made.canary = CanaryHome(private, made.namespace)
        monkeypatch.setenv("PATH", f"{made.canary.tools}:{os.environ['PATH']}")
        made.open()
        yield made, made.canary
    finally:
        made.close()


def test_no_canary_is_ever_seen(world: tuple[Any, CanaryHome]) -> None:
    from libvirt import VIR_DOMAIN_XML_INACTIVE, VIR_DOMAIN_XML_SECURE

    made, canary = world
    with ProcessWatch() as processes:
        image = made.image_url().removeprefix("http://")
        made.declare(canary.valid(image), "valid")
        for name in VMS:
            made.until(f"{name} runs", lambda name=name: made.runs(name))
        made.until("the image is there", lambda: (r := made.row("good", "dv")) and r["status"] == "Succeeded")
        made.until("the other is not", lambda: (r := made.row("missing", "dv")) and r["status"] == "Failed")
        made.declare(canary.broken(), "broken")
        made.until("it is noticed", lambda: made.ask("status")["problems"])
        canary.ask_about_now(made.settings)
        for name in VMS:
            canary.ask(made.settings, "describe", "vm", name)
            canary.ask(made.settings, "export", f"{made.namespace}_{name}")
        for name in VMS:
            domain = made.domain(name)
            canary.said[f"definition of {name}"] = domain.XMLDesc(
                VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE
            ).encode()
            canary.said[f"{name} as it runs"] = domain.XMLDesc(VIR_DOMAIN_XML_SECURE).encode()
            pid = Path(f"/run/libvirt/qemu/{domain.name()}.pid").read_text().strip()
            for what in ("cmdline", "environ"):
                canary.said[f"QEMU's {what} of {name}"] = Path(f"/proc/{pid}/{what}").read_bytes()
        made.stop_daemon()
    files_of(made, canary)
    canary.said |= processes.seen
    assert b"gitvirt.io/xmlns" in canary.said["definition of inline"]
    assert b"qemu-img" in canary.said["calls of tools"]
    canary.assert_unseen()


def files_of(made: Any, canary: CanaryHome) -> None:
    """What is left on disk, and who can read the ISOs."""
    pool = made.directory / "pool"
    seeds = [path for path in pool.iterdir() if path.name.endswith(".iso")]
    assert len(seeds) == len(VMS) + 1
    allowed = {0, pwd.getpwnam("libvirt-qemu").pw_uid}
    for path in seeds:
        facts = path.stat()
        assert facts.st_uid in allowed and not facts.st_mode & 0o077, (path, oct(facts.st_mode))
    assert not stat.S_IMODE((made.directory / "state").stat().st_mode) & 0o077
    canary.said |= extended_attributes([*pool.rglob("*"), *made.directory.glob("state/**/*")])
    for name in ("state", "run", "pool", "consoles", "canary"):
        canary.said |= readable_by_others(made.directory / name)
    canary.said["log"] = (made.directory / "daemon.log").read_bytes()
    canary.said["journal"] = repository_objects(made.journal)
    canary.said["calls of tools"] = (canary.directory / "calls").read_bytes()
    for directory in ("/etc/libvirt/qemu", "/run/libvirt/qemu", "/var/log/libvirt/qemu"):
        for path in Path(directory).glob(f"{made.namespace}_*"):
            if path.is_file():
                canary.said[str(path)] = path.read_bytes()
