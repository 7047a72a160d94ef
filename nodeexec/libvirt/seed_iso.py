"""cloud-init data as an ISO 9660 image, made in memory. Only the time of making differs between two of one seed; what a
seed holds is told by the digest in its volume's name.

Source: cloud-init's NoCloud and ConfigDrive data sources (volume labels ``cidata`` and ``config-2``); ECMA-119; Rock Ridge.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from itertools import count

import pycdlib

from reconciler.model.secret import Secret

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_DIRECTORY_MODE, _FILE_MODE = 0o040555, 0o100444


def build_seed_iso(label: str, files: Mapping[str, Secret]) -> bytes:
    """The image with the volume label ``label``. ``files`` maps a path (``openstack/latest/user_data``) to its content.

    Raises:
        ValueError: a path is absolute, leads upwards, or has a character that no seed needs.
    """
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    numbers = count(1)
    directories: dict[str, str] = {"": ""}
    for path, content in sorted(files.items()):
        parts = path.split("/")
        if not all(_PART.fullmatch(part) for part in parts):
            raise ValueError(f"{path!r} cannot be a path on a seed image")
        parent = ""
        for part in parts[:-1]:
            child = f"{parent}/{part}"
            if child not in directories:
                directories[child] = f"{directories[parent]}/D{next(numbers)}"
                iso.add_directory(directories[child], rr_name=part, joliet_path=child, file_mode=_DIRECTORY_MODE)
            parent = child
        body = content.reveal
        iso.add_fp(
            io.BytesIO(body),
            len(body),
            f"{directories[parent]}/F{next(numbers)}.;1",
            rr_name=parts[-1],
            joliet_path=f"{parent}/{parts[-1]}",
            file_mode=_FILE_MODE,
        )
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()
