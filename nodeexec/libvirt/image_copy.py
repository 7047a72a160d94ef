"""One image as a stand-alone copy in another format, encrypted or not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodeexec.libvirt.image_check import bounded
from nodeexec.libvirt.luks import NEW_ENCRYPTION, encrypted_image, key_argument
from nodeexec.libvirt.volume_files import VolumeError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCopy:
    """What is copied where. The keys are descriptors of passphrases, None for what is not encrypted."""

    image: Path
    image_format: str
    disk: Path
    format: str
    image_key: int | None = None
    key: int | None = None

    @property
    def arguments(self) -> list[str]:
        """``qemu-img``'s, after ``convert``."""
        source = ["-f", self.image_format, "-O", self.format, str(self.image)]
        if self.image_key is not None:
            # With --image-opts the target's format has to stand in front.
            opened = encrypted_image(self.image, of_source=True)
            source = [*key_argument(self.image_key, of_source=True), "-O", self.format, *opened]
        target = [*key_argument(self.key), *NEW_ENCRYPTION] if self.key is not None else []
        return [*target, *source, str(self.disk)]


def copy_image(copy: ImageCopy, keep_going: Callable[[], None], *, memory_bytes: int) -> None:
    """Carry it out. ``keep_going`` is called now and then and stops it by raising.

    Raises:
        VolumeError: ``qemu-img`` is missing or fails.
    """
    inherited = tuple(key for key in (copy.key, copy.image_key) if key is not None)
    try:
        process = subprocess.Popen(
            bounded(["qemu-img", "convert", *copy.arguments], memory_bytes=memory_bytes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            umask=0o077,
            pass_fds=inherited,
        )
    except OSError as error:
        raise VolumeError(f"qemu-img cannot be run ({error.strerror}); install qemu-utils") from error
    with process:
        try:
            while True:
                try:
                    _, said = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    keep_going()
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise VolumeError(f"copying the image: {lines[-1] if lines else f'qemu-img ended with {process.returncode}'}")
