"""``qemu-img``'s arguments for volumes that are encrypted with LUKS inside qcow2.

The passphrase comes from a descriptor that the child inherits, so that it is in no argument and in no file.

*Source*: QEMU's documentation of qemu-img and of the qcow2 driver's ``encrypt.*`` options.
"""

from __future__ import annotations

from pathlib import Path

_TARGET, _SOURCE = "key", "sourcekey"
NEW_ENCRYPTION = ("-o", f"encrypt.format=luks,encrypt.key-secret={_TARGET},encrypt.iter-time=200")
"""A new volume is encrypted with the passphrase of `key_argument`. Passphrases are long random text, which needs no long
stretching; QEMU's usual two seconds would be added to each start of a guest, for each disk.
"""


def key_argument(descriptor: int, *, of_source: bool = False) -> list[str]:
    """Makes the passphrase of the volume, or of the source that it is copied from, known."""
    name = _SOURCE if of_source else _TARGET
    return ["--object", f"secret,id={name},file=/dev/fd/{descriptor}"]


def encrypted_image(path: Path, *, of_source: bool = False) -> list[str]:
    """Opens an encrypted volume with that passphrase."""
    # A comma would begin another option; names of volumes have none, their directory might.
    file, name = str(path).replace(",", ",,"), _SOURCE if of_source else _TARGET
    return ["--image-opts", f"driver=qcow2,encrypt.format=luks,encrypt.key-secret={name},file.filename={file}"]
