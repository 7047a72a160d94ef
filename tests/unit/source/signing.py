"""Throw-away keys, made once, and how to have git sign with them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FAKED_TIME = "20200105T000000"


@dataclass(frozen=True)
class Keys:
    """OpenPGP keys ``ada``, ``bob``, ``expired`` and ``revoked``, SSH keys ``ada`` and ``bob``, in one directory."""

    directory: Path

    @property
    def gpg_home(self) -> Path:
        return self.directory / "g"

    def gpg(self, *arguments: str, data: bytes | None = None) -> bytes:
        done = subprocess.run(
            ["gpg", "--batch", "--quiet", "--no-tty", *arguments],
            env={"PATH": os.environ["PATH"], "GNUPGHOME": str(self.gpg_home)},
            input=data, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def keyring(self, *names: str, armored: bool = False) -> bytes:
        return self.gpg("--export", *(["--armor"] if armored else []), *(f"{name}@example.org" for name in names))

    def allowed(self, *names: str, options: str = "") -> bytes:
        lines = [f"{n}@example.org {options} {(self.directory / f'{n}.pub').read_text()}" for n in names]
        return "".join(lines).encode()

    def gpg_signing(self, name: str) -> dict[str, str]:
        program = self.directory / ("old-gpg" if name == "expired" else "gpg")
        return {
            "GNUPGHOME": str(self.gpg_home),
            **_configuration(
                {"commit.gpgSign": "true", "user.signingKey": f"{name}@example.org", "gpg.program": str(program)}
            ),
        }

    def ssh_signing(self, name: str) -> dict[str, str]:
        return _configuration(
            {"commit.gpgSign": "true", "user.signingKey": str(self.directory / name), "gpg.format": "ssh"}
        )

    def ssh_signature(self, name: str, payload: bytes, namespace: str = "git") -> bytes:
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.directory / name)]
        return subprocess.run(command, input=payload, capture_output=True, check=True).stdout


def _configuration(values: dict[str, str]) -> dict[str, str]:
    pairs = [
        (f"GIT_CONFIG_KEY_{n}", key, f"GIT_CONFIG_VALUE_{n}", value) for n, (key, value) in enumerate(values.items())
    ]
    return {"GIT_CONFIG_COUNT": str(len(pairs))} | {k: v for a, b, c, d in pairs for k, v in ((a, b), (c, d))}


def make_keys(directory: Path) -> Keys:
    """The keys; ``directory`` has a short path, because the socket of gpg's agent lies below it."""
    keys = Keys(directory)
    keys.gpg_home.mkdir(mode=0o700)
    for name, faked in (("gpg", ""), ("old-gpg", f"--faked-system-time {FAKED_TIME}")):
        program = directory / name
        program.write_text(f'#!/bin/sh\nexec gpg {faked} "$@"\n')
        program.chmod(0o755)
    made = ["--passphrase", "", "--quick-gen-key"]
    for name in ("ada", "bob", "revoked"):
        keys.gpg(*made, f"{name} <{name}@example.org>", "ed25519", "sign", "never")
    keys.gpg("--faked-system-time", "20200101T000000", *made, "expired <expired@example.org>", "ed25519", "sign", "30d")
    for name in ("ada", "bob"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name)]
        subprocess.run(command, check=True)
    return keys


def revoke(keys: Keys) -> None:
    """Revoke the key ``revoked``; what it signed before stays signed by it."""
    listed = keys.gpg("--with-colons", "--list-keys", "revoked@example.org").decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    certificate = (keys.gpg_home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()
    keys.gpg("--import", data=certificate.replace(b"\n:-----BEGIN", b"\n-----BEGIN"))


@contextmanager
def throw_away_keys() -> Iterator[Keys]:
    """Keys that go away with the context, and the agent with them."""
    with tempfile.TemporaryDirectory(prefix="gv", dir="/tmp") as directory:
        keys = make_keys(Path(directory))
        try:
            yield keys
        finally:
            _end_agent(keys)


def _end_agent(keys: Keys) -> None:
    subprocess.run(
        ["gpgconf", "--kill", "all"],
        env={"PATH": os.environ["PATH"], "GNUPGHOME": str(keys.gpg_home)},
        check=False,
    )
