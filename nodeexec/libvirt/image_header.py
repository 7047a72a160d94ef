"""What an image file says of itself, read without QEMU: its format, and whether it needs other files.

QEMU opens what an image names (a data file, extents) while it looks at it, so looking with QEMU comes too late for these.
The format found here is the one that is named to QEMU ever after; nothing is probed again.

*Source*: QEMU's docs/interop/qcow2.txt; VMware's "Virtual Disk Format 5.0"; the documented signatures of VDI, VHDX, VHD, QED,
LUKS and Parallels images.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

_QCOW2 = b"QFI\xfb"
_VMDK_SPARSE, _VMDK_TEXT, _VMDK_ESX = b"KDMV", b"# Disk DescriptorFile", b"COWD"
_VHD = b"conectix"
_VDI, _VDI_AT = b"\x7f\x10\xda\xbe", 0x40
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (_VMDK_TEXT, "a VMDK description that names other files"),
    (_VMDK_ESX, "a VMDK of an ESX host's own form"),
    (b"QED\0", "a QED image"),
    (b"LUKS\xba\xbe", "an encrypted (LUKS) image"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
    (b"Bochs Virtual HD Image", "a Bochs image"),
    (b"OOOO", "a damaged image"),
)
_DATA_FILE_BIT = 1 << 2
_KNOWN_INCOMPATIBLE = 0b11111
_HEAD_BYTES = 1024
_LONGEST_DESCRIPTOR_SECTORS = 128
_SECTOR = 512
_ONE_FILE = ("monolithicSparse", "streamOptimized")
_PAGE = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|\?xml)", re.IGNORECASE)
_DESCRIPTION = "publish a stand-alone one (qemu-img convert -O qcow2 IMAGE STANDALONE)"


class BadHeaderError(ValueError):
    """The image will not be used; the message says why and what to publish instead."""


def format_of(path: Path) -> str:
    """``qcow2``, ``vmdk``, ``vdi``, ``vhdx``, ``vpc``, or ``raw`` for anything without a signature.

    Raises:
        BadHeaderError: it needs other files, is encrypted, is damaged, or is of a format that is not read.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        for magic, what in _REFUSED:
            if head.startswith(magic):
                raise BadHeaderError(f"it is {what}; {_DESCRIPTION}")
        if _PAGE.match(head):
            raise BadHeaderError("it is a web page, not a disk image; is the URL that of the file itself?")
        if head.startswith(_QCOW2):
            _check_qcow2(head)
            return "qcow2"
        if head.startswith(_VMDK_SPARSE):
            _check_vmdk(head, file.fileno())
            return "vmdk"
        if head.startswith(b"vhdxfile"):
            return "vhdx"
        if head[_VDI_AT : _VDI_AT + 4] == _VDI:
            return "vdi"
        if head.startswith(_VHD) or _ends_as_vhd(file.fileno()):
            return "vpc"
    return "raw"


def _check_qcow2(head: bytes) -> None:
    if len(head) < 72:
        raise BadHeaderError("it is a qcow2 image that ends in its header")
    version, backing = struct.unpack(">IQ", head[4:16])
    encryption = int.from_bytes(head[32:36], "big")
    snapshots = int.from_bytes(head[60:64], "big")
    incompatible = int.from_bytes(head[72:80], "big") if version >= 3 else 0
    if version not in (2, 3):
        raise BadHeaderError(f"it is a qcow image of version {version}; {_DESCRIPTION}")
    if backing:
        raise BadHeaderError(f"it has a backing file; {_DESCRIPTION}")
    if incompatible & _DATA_FILE_BIT:
        raise BadHeaderError(f"it keeps its data in another file; {_DESCRIPTION}")
    if incompatible & ~_KNOWN_INCOMPATIBLE:
        raise BadHeaderError(f"it asks for features of qcow2 that are not known; {_DESCRIPTION}")
    if encryption:
        raise BadHeaderError("it is encrypted; publish a plain one")
    if snapshots:
        raise BadHeaderError(f"it has {snapshots} snapshots in it; {_DESCRIPTION}")


def _check_vmdk(head: bytes, descriptor: int) -> None:
    """One file with its description in it, which names no other and no parent."""
    if len(head) < 44:
        raise BadHeaderError("it is a VMDK image that ends in its header")
    capacity, _, at, sectors = struct.unpack("<QQQQ", head[12:44])
    if not capacity or not 0 < sectors <= _LONGEST_DESCRIPTOR_SECTORS or not at:
        raise BadHeaderError(f"it is a VMDK image in several files; {_DESCRIPTION}")
    text = os.pread(descriptor, sectors * _SECTOR, at * _SECTOR).partition(b"\0")[0].decode("ascii", "replace")
    kind = re.search(r'^\s*createType\s*=\s*"(\w*)"', text, re.MULTILINE)
    parent = re.search(r"^\s*parentCID\s*=\s*(\w+)", text, re.MULTILINE)
    extents = re.findall(r"^\s*(?:RW|RDONLY|NOACCESS)\s", text, re.MULTILINE)
    if kind is None or kind[1] not in _ONE_FILE or len(extents) > 1:
        raise BadHeaderError(f"it is a VMDK image in several files; {_DESCRIPTION}")
    if (parent is not None and parent[1].lower() != "ffffffff") or "parentFileNameHint" in text:
        raise BadHeaderError(f"it has a backing file; {_DESCRIPTION}")


def _ends_as_vhd(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size >= _SECTOR and os.pread(descriptor, len(_VHD), size - _SECTOR) == _VHD
