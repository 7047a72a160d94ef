"""Asks ``gpgv`` and ``ssh-keygen`` about one signature: bounded, with no user's configuration and no agent."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.model.source_spec import VerifySpec
from reconciler.source.errors import KeysError
from reconciler.source.signatures import (
    NO_ANSWER,
    SSH_NAMESPACE,
    UNSIGNED,
    Format,
    Signed,
    Verdict,
    binary_keyring,
    binary_signature,
    openpgp_verdict,
    ssh_verdict,
)

TIMEOUT_S = 10.0
MAX_KEYRING_BYTES = 16 * 1024 * 1024
MAX_SIGNATURE_BYTES = 64 * 1024
MAX_PRINCIPALS = 16
_PACKAGES = {"gpgv": "gpgv", "ssh-keygen": "openssh-client"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyrings:
    """The keys that count. Paths are for messages; ``digest`` changes with any content."""

    openpgp: bytes | None
    ssh: bytes | None
    openpgp_path: str
    ssh_path: str
    digest: str


class KeyringFiles:
    """The keyrings' files, read again when they change."""

    def __init__(self, *, openpgp: Path | None, ssh: Path | None) -> None:
        self._openpgp, self._ssh = openpgp, ssh
        self._read: tuple[tuple[tuple[int, ...] | None, ...], Keyrings] | None = None

    def keyrings(self) -> Keyrings:
        """What the files hold now.

        Raises:
            KeysError: one is missing, cannot be read, or holds no key.
        """
        stamps = tuple(_stamp(path) for path in (self._openpgp, self._ssh))
        if self._read is None or self._read[0] != stamps:
            openpgp, ssh = _bytes_of(self._openpgp), _bytes_of(self._ssh)
            self._read = stamps, _keyrings(openpgp, ssh, str(self._openpgp or ""), str(self._ssh or ""))
        return self._read[1]


def _keyrings(openpgp: bytes | None, ssh: bytes | None, openpgp_path: str, ssh_path: str) -> Keyrings:
    if openpgp is not None:
        try:
            openpgp = binary_keyring(openpgp)
        except ValueError as fault:
            raise KeysError(f"the keyring {openpgp_path} {fault}") from fault
    if ssh is not None and not any(line.strip() and not line.startswith(b"#") for line in ssh.splitlines()):
        raise KeysError(f"the allowed signers {ssh_path} hold no key: one line each, `PRINCIPAL KEYTYPE KEY`")
    digest = hashlib.sha256(repr((openpgp, ssh)).encode()).hexdigest()
    return Keyrings(openpgp=openpgp, ssh=ssh, openpgp_path=openpgp_path, ssh_path=ssh_path, digest=digest)


class SignaturePrograms:
    """The programs over one directory that holds the keyrings. May be used from several threads."""

    def __init__(self, directory: Path, keyrings: Keyrings, now: datetime) -> None:
        """``now`` (UTC) is when an SSH key has to be valid; gpgv takes the system's time."""
        self._directory, self._keyrings, self._now = directory, keyrings, now
        for name, content in (("keyring.gpg", keyrings.openpgp), ("allowed_signers", keyrings.ssh)):
            if content is not None:
                (directory / name).write_bytes(content)

    def check(self, name: str, signed: Signed) -> Verdict:
        """Whether the signature counts. ``name`` is a word that no other check under way has.

        Raises:
            KeysError: a program is missing, or does not answer in time.
        """
        kind, rings = signed.format, self._keyrings
        if kind is Format.NONE:
            return UNSIGNED
        if len(signed.signature) > MAX_SIGNATURE_BYTES:
            return NO_ANSWER
        if kind is Format.OTHER:
            return Verdict(fault="has a signature that is neither OpenPGP nor SSH", hint=UNSIGNED.hint)
        if (rings.openpgp if kind is Format.OPENPGP else rings.ssh) is None:
            setting = "gpgKeyring" if kind is Format.OPENPGP else "sshAllowedSigners"
            return Verdict(
                fault=f"has an {kind} signature, and no keys for such are named",
                hint=f"Name them by verify.{setting}, or sign with the other kind",
            )
        path = self._directory / f"{name}.sig"
        try:
            path.write_bytes(binary_signature(signed.signature) if kind is Format.OPENPGP else signed.signature)
        except ValueError:
            return NO_ANSWER
        try:
            return self._openpgp(path, signed) if kind is Format.OPENPGP else self._ssh(path, signed)
        finally:
            path.unlink()

    def _openpgp(self, signature: Path, signed: Signed) -> Verdict:
        keyring = self._directory / "keyring.gpg"
        code, out, _ = self._run(
            ["gpgv", "--quiet", "--homedir", str(self._directory), "--keyring", str(keyring),
             "--status-fd", "1", "--", str(signature), "-"],
            signed.payload,
        )  # fmt: skip
        return openpgp_verdict(code, out, self._keyrings.openpgp_path)

    def _ssh(self, signature: Path, signed: Signed) -> Verdict:
        given = [
            "-f", str(self._directory / "allowed_signers"), "-s", str(signature),
            f"-Overify-time={self._now:%Y%m%d%H%M%S}",
        ]  # fmt: skip
        path = self._keyrings.ssh_path
        code, out, told = self._run(["ssh-keygen", "-Y", "find-principals", *given], b"")
        principals = [line for line in out.decode("utf-8", "replace").splitlines() if line][:MAX_PRINCIPALS]
        if code != 0 or not principals:
            return ssh_verdict(code or 1, told, signed.signature, path)
        verdict = NO_ANSWER
        for principal in principals:
            code, _, told = self._run(
                ["ssh-keygen", "-Y", "verify", "-n", SSH_NAMESPACE, "-I", principal, *given], signed.payload
            )
            verdict = ssh_verdict(code, told, signed.signature, path)
            if not verdict.fault:
                break
        return verdict

    def _run(self, command: list[str], data: bytes) -> tuple[int, bytes, bytes]:
        program = shutil.which(command[0])
        if program is None:
            raise KeysError(_missing(command[0]))
        here = str(self._directory)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": here, "GNUPGHOME": here}
        try:
            done = subprocess.run(
                [program, *command[1:]],
                input=data,
                capture_output=True,
                env=environment,
                cwd=here,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise KeysError(f"{command[0]} did not answer within {TIMEOUT_S:g} s about a signature") from fault
        except OSError as fault:
            raise KeysError(f"{command[0]} could not be run: {fault.strerror}") from fault
        return done.returncode, done.stdout, done.stderr


def missing_programs(spec: VerifySpec) -> str:
    """What this machine lacks to check such signatures; empty for nothing."""
    needed = {"gpgv": spec.gpg_keyring, "ssh-keygen": spec.ssh_allowed_signers}
    return "; ".join(_missing(name) for name, keys in needed.items() if keys and shutil.which(name) is None)


def _missing(program: str) -> str:
    return f"{program} is not on this machine: install the package {_PACKAGES[program]}"


@contextmanager
def signature_programs(keyrings: Keyrings, now: datetime) -> Iterator[SignaturePrograms]:
    """The programs over a private directory, which goes away with the context.

    Raises:
        KeysError: there is no place for it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="gitvirt-verify-") as directory:
            yield SignaturePrograms(Path(directory), keyrings, now)
    except OSError as fault:
        raise KeysError(f"signatures cannot be checked: {fault.strerror}") from fault


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """What changes whenever the file does."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError as fault:
        raise KeysError(_unreadable(path, fault)) from fault
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _bytes_of(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEYRING_BYTES + 1)
    except OSError as fault:
        raise KeysError(_unreadable(path, fault)) from fault
    if len(data) > MAX_KEYRING_BYTES:
        raise KeysError(f"the keys {path} have more than {MAX_KEYRING_BYTES >> 20} MiB")
    return data


def _unreadable(path: Path, fault: OSError) -> str:
    return f"the keys {path} cannot be read ({fault.strerror}), so nothing new is accepted: put the file back"
