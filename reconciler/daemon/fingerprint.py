"""What a loaded file depends on besides its bytes: the code that reads it, the schemas, the libraries and some settings."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import yaml._yaml

import reconciler.manifests
import reconciler.model
import schemas

_PACKAGES = (reconciler.manifests, reconciler.model, schemas)
_LIBRARIES = ("jsonschema", "jsonschema-rs", "orjson", "pyyaml")


def fingerprint(*settings: object) -> str:
    """A hash that changes when anything changes that may make a file load differently. ``settings`` are told apart by
    their ``repr``.

    Raises:
        OSError: the program's own files cannot be read.
    """
    found = hashlib.sha256()
    for part in (*_facts(), *map(repr, settings)):
        found.update(f"{part}\n".encode())
    for package in _PACKAGES:
        for file in _files(Path(package.__path__[0])):
            found.update(f"{package.__name__} {file.name}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def _facts() -> Iterator[str]:
    yield platform.python_version()
    yield sys.byteorder
    yield str(yaml._yaml.get_version_string())
    for library in _LIBRARIES:
        yield f"{library} {metadata.version(library)}"


def _files(directory: Path) -> list[Path]:
    return sorted(file for suffix in ("py", "json") for file in directory.rglob(f"*.{suffix}"))
