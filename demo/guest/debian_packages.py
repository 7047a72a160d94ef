"""Fetch Debian packages without installing them, and unpack them.

Fetched packages are kept with a lock file that names them, so that later builds need no network and give the same image
until `--refresh` asks for newer ones. Source: apt-get(8), dpkg-deb(1).
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path


class BuildError(Exception):
    """The image cannot be built; the text says what, why and what to do."""


def run(command: list[str], *, cwd: Path | None = None) -> str:
    """Run a program and return its output. Raises BuildError with the end of its error text."""
    try:
        done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is not installed; run deploy/host/prepare") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(command[:4])} … failed: {error.stderr.strip()[-600:]}") from error
    return done.stdout


def wanted_names(listing: Path) -> tuple[str, ...]:
    """Package names of `packages.txt`, without its comments."""
    words = (line.split("#", 1)[0].strip() for line in listing.read_text().splitlines())
    return tuple(word for word in words if word)


class PackageStore:
    """A directory of fetched packages and the lock file that says which belong to the current list."""

    def __init__(self, directory: Path, names: tuple[str, ...]) -> None:
        self.directory = directory
        self.names = names
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        self.lock = directory / f"lock-{digest}.json"

    def packages(self, *, refresh: bool = False) -> tuple[Path, ...]:
        """Paths of the packages, fetched now if need be. Raises BuildError when they cannot be had."""
        if not refresh and self.lock.exists():
            known = tuple(self.directory / name for name in json.loads(self.lock.read_text()))
            if all(path.exists() for path in known):
                return known
        self.directory.mkdir(parents=True, exist_ok=True)
        print(f"==> fetching {len(self.names)} Debian packages (about 36 MB)", file=sys.stderr, flush=True)
        try:
            files = self._fetch([])
        except BuildError:
            print("==> the package lists of this machine do not serve; reading fresh ones", file=sys.stderr, flush=True)
            files = self._fetch(self._private_lists())
        self.lock.write_text(json.dumps(files, indent=1) + "\n")
        return tuple(self.directory / name for name in files)

    def _private_lists(self) -> list[str]:
        """apt options for package lists of our own: no root needed, nothing of the system touched."""
        state = self.directory / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        try:
            run(["apt-get", "-q", "-o", "APT::Sandbox::User=", *options, "update"])
        except BuildError as error:
            raise BuildError(f"no package lists, and none can be fetched; is there a network? ({error})") from error
        return options

    def _fetch(self, options: list[str]) -> list[str]:
        """Download every package into the store; returns the file names in the list's order."""
        names = [self._real_name(name, options) for name in self.names]
        uris = run(["apt-get", "-qq", "--print-uris", *options, "download", *names])
        found = re.findall(r"^'[^']+' (\S+_\S+\.deb) ", uris, re.MULTILINE)
        files = []
        for name in names:
            match = [file for file in found if file.split("_", 1)[0] == name]
            if not match:
                raise BuildError(f"Debian has no package {name} here; this build is made for Debian 12 on amd64")
            files.append(match[0])
        run(["apt-get", "-q", "-o", "APT::Sandbox::User=", *options, "download", *names], cwd=self.directory)
        return files

    @staticmethod
    def _real_name(name: str, options: list[str]) -> str:
        """The kernel's metapackage stands for the newest kernel; every other name is itself."""
        if not name.startswith("linux-image-"):
            return name
        listing = run(["apt-cache", *options, "depends", name])
        match = re.search(r"Depends: (linux-image-\d\S+)", listing)
        if match is None:
            raise BuildError(f"{name} does not name a kernel package; this build is made for Debian 12 on amd64")
        return match.group(1)


def unpack(packages: tuple[Path, ...], destination: Path) -> None:
    """Unpack the packages' files into one directory tree. Raises BuildError."""
    for package in packages:
        run(["dpkg-deb", "-x", str(package), str(destination)])
