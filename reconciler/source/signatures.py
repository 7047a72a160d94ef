"""What a signed Git object signs, and what the programs that check signatures mean by their answers. Pure.

Source: gitformat-signature(5); DETAILS of GnuPG for the status lines; PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.plain_text import one_line

SSH_NAMESPACE = "git"
_STATUS = re.compile(r"\[GNUPG:\] ([A-Z0-9_]+) ?(.*)")
_MISSING_KEY = "9"
_DOCUMENT_CLASSES = ("00", "01")
_SSH_MAGIC = b"SSHSIG"
_SIGNATURE_TAG = 2


class Format(StrEnum):
    """Who made a signature; ``NONE`` when there is none."""

    NONE = "none"
    OPENPGP = "OpenPGP"
    SSH = "SSH"
    OTHER = "other"


_BEGINNINGS = {
    b"-----BEGIN PGP SIGNATURE-----": Format.OPENPGP,
    b"-----BEGIN PGP MESSAGE-----": Format.OTHER,
    b"-----BEGIN SSH SIGNATURE-----": Format.SSH,
    b"-----BEGIN SIGNED MESSAGE-----": Format.OTHER,
}
_BEGINNING = re.compile(b"^(?:" + b"|".join(_BEGINNINGS) + b")", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A commit's or tag's bytes taken apart: what is signed, and the signature (empty when there is none)."""

    payload: bytes
    signature: bytes

    @property
    def format(self) -> Format:
        """What kind of signature it is, by its first line."""
        if not self.signature:
            return Format.NONE
        return _BEGINNINGS.get(self.signature.lstrip().partition(b"\n")[0].rstrip(), Format.OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``fault`` is empty for a signature that counts; else it says why it does not, as the end of the sentence "it …".
    ``hint`` is what to do about it.
    """

    fault: str = ""
    hint: str = ""


GOOD = Verdict()
_SIGN_IT = "Sign it (`git commit --amend -S`; older ones with `git rebase --exec 'git commit --amend --no-edit -S'`) and push again"
UNSIGNED = Verdict(fault="is not signed", hint=_SIGN_IT)
BAD = Verdict(fault="was changed after it was signed: its signature does not fit", hint=_SIGN_IT)
NO_ANSWER = Verdict(fault="has a signature that cannot be read", hint=_SIGN_IT)


def signed_commit(raw: bytes) -> Signed:
    """A raw commit object without its signature headers, and its signature.

    Raises:
        ValueError: it carries more than one signature, so that nobody can say which is meant.
    """
    head, separator, body = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: list[list[bytes]] = []
    current: list[bytes] | None = None
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            (kept if current is None else current).append(line if current is None else line[1:])
            continue
        name, _, value = line.partition(b" ")
        current = None
        if not name.startswith(b"gpgsig"):
            kept.append(line)
            continue
        current = [value]
        # ``gpgsig-sha256`` and the like sign another form of the commit; Git leaves them out of this one too.
        if name == b"gpgsig":
            signatures.append(current)
    if len(signatures) > 1:
        raise ValueError("carries more than one signature")
    signature = b"\n".join(signatures[0]) + b"\n" if signatures else b""
    return Signed(payload=b"\n".join(kept) + separator + body, signature=signature)


def signed_tag(raw: bytes) -> Signed:
    """A raw tag object up to its signature, which is its end, and the signature."""
    begun = [match.start() for match in _BEGINNING.finditer(raw)]
    at = begun[-1] if begun else len(raw)
    return Signed(payload=raw[:at], signature=raw[at:])


def tag_names(payload: bytes, *, commit: str, name: str) -> bool:
    """Whether a tag's signed bytes name that commit, and themselves by that name: a signed tag that is put under another
    name would pass an old revision off as a new one.
    """
    headers = payload.partition(b"\n\n")[0].split(b"\n")[:3]
    return headers == [b"object " + commit.encode(), b"type commit", b"tag " + name.encode()]


def openpgp_verdict(code: int, status: bytes, keyring: str) -> Verdict:
    """What ``gpgv`` said on its status descriptor; ``code`` is its exit code. Only one signature that is good in every
    respect counts: gpgv's own exit code is 0 for expired and revoked keys too.
    """
    said = [
        (match.group(1), match.group(2).split(" "))
        for line in status.decode("utf-8", "replace").splitlines()
        if (match := _STATUS.fullmatch(line))
    ]
    words = dict(said)
    if "BADSIG" in words:
        return BAD
    if "ERRSIG" in words:
        arguments = words["ERRSIG"]
        if len(arguments) > 5 and arguments[5] == _MISSING_KEY:
            return _unknown_key(arguments[6] if len(arguments) > 6 else arguments[0], keyring)
        return Verdict(fault="has a signature of a kind that gpgv cannot check", hint=_SIGN_IT)
    for word, state in (("REVKEYSIG", "has been revoked"), ("EXPKEYSIG", "has expired")):
        if word in words:
            return Verdict(
                fault=f"is signed with the key {_signer(words[word])}, which {state}",
                hint=f"Sign it with a key that holds, or put the renewed key into {keyring}",
            )
    if "EXPSIG" in words:
        return Verdict(fault=f"has a signature of {_signer(words['EXPSIG'])} that has expired", hint=_SIGN_IT)
    counts = [sum(1 for found, _ in said if found == word) for word in ("NEWSIG", "GOODSIG", "VALIDSIG")]
    if code == 0 and counts == [1, 1, 1] and words["VALIDSIG"][8:9] in ([c] for c in _DOCUMENT_CLASSES):
        return GOOD
    return NO_ANSWER


def ssh_verdict(code: int, told: bytes, signature: bytes, signers: str) -> Verdict:
    """What ``ssh-keygen -Y verify`` (or ``find-principals``, when that found none) told on standard error."""
    if code == 0:
        return GOOD
    text = told.decode("utf-8", "replace")
    key = ssh_fingerprint(signature)
    if "incorrect signature" in text:
        return BAD
    if "namespace does not match" in text:
        return Verdict(
            fault=f"has a signature that was made for something else than Git (namespace {SSH_NAMESPACE})",
            hint=_SIGN_IT,
        )
    for said, state, remedy in (
        (
            "not permitted for use in signature namespace",
            "may not sign for Git",
            f'add namespaces="{SSH_NAMESPACE}" to',
        ),
        ("key has expired", "has expired", "change valid-before in"),
        ("key is not yet valid", "is not valid yet", "change valid-after in"),
    ):
        if said in text:
            return Verdict(
                fault=f"is signed with the key {key}, which {state} by {signers}",
                hint=f"Sign it with another key, or {remedy} {signers}",
            )
    if "No principal matched" in text and key:
        return _unknown_key(key, signers)
    return NO_ANSWER


def ssh_fingerprint(signature: bytes) -> str:
    """``SHA256:…`` of the key that an armored SSH signature names; empty when it cannot be read."""
    lines = [line.strip() for line in signature.strip().split(b"\n")]
    try:
        blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        return ""
    size = int.from_bytes(blob[10:14], "big")
    key = blob[14 : 14 + size]
    if not blob.startswith(_SSH_MAGIC) or len(key) != size or not key:
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def binary_signature(armored: bytes) -> bytes:
    """An armored OpenPGP signature as the bytes of its one packet. Nothing else is handed on: in a compressed packet, a few
    hundred bytes keep gpgv busy for minutes.

    Raises:
        ValueError: it is anything but one whole signature packet.
    """
    found = re.fullmatch(
        rb"-----BEGIN PGP SIGNATURE-----\n(.*)\n-----END PGP SIGNATURE-----", armored.strip(), re.DOTALL
    )
    data = _armored(b"\n" + found.group(1)) if found else b""
    if not data:
        raise ValueError("is no armored signature")
    is_new, length_type = data[0] & 0xC0 == 0xC0, data[0] & 0x03
    if (data[0] & 0x3F if is_new else data[0] >> 2) != (_SIGNATURE_TAG if is_new else 0x20 | _SIGNATURE_TAG):
        raise ValueError("is no signature packet")
    # Source: RFC 4880, 4.2. The lengths of streams (partial, indeterminate) are for other packets.
    if is_new and data[1:2] < b"\xc0":
        start, size = 2, data[1] if len(data) > 1 else 0
    elif is_new and data[1:2] < b"\xe0" and len(data) > 2:
        start, size = 3, ((data[1] - 192) << 8) + data[2] + 192
    elif is_new and data[1:2] == b"\xff":
        start, size = 6, int.from_bytes(data[2:6], "big")
    elif not is_new and length_type < 3:
        start = 1 + (1 << length_type)
        size = int.from_bytes(data[1:start], "big")
    else:
        raise ValueError("has a length that a signature cannot have")
    if start + size != len(data):
        raise ValueError("is not one packet")
    return data


def binary_keyring(data: bytes) -> bytes:
    """An OpenPGP keyring as gpgv reads it: armored blocks become bytes, anything else stays.

    Raises:
        ValueError: it holds no public key that could be used.
    """
    if b"-----BEGIN PGP PRIVATE KEY BLOCK-----" in data:
        raise ValueError("holds a private key: export the public ones alone (`gpg --export`)")
    blocks = re.findall(
        rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", data, re.DOTALL
    )
    if not blocks:
        # A packet with the tag of a public key, in the old or the new form, or GnuPG's keybox.
        if data[:1] in (b"\x98", b"\x99", b"\x9a", b"\xc6") or data[8:12] == b"KBXf":
            return data
        raise ValueError("holds no OpenPGP public key (`gpg --export [--armor]` writes what is meant)")
    return b"".join(_armored(block) for block in blocks)


def _armored(block: bytes) -> bytes:
    """The bytes between the lines of an armor: headers, an empty line, base64, a checksum."""
    lines = [line.strip() for line in block.split(b"\n")]
    body = lines[lines.index(b"", 1) + 1 :] if b"" in lines[1:] else lines
    try:
        return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise ValueError("holds an armored key that is damaged") from fault


def _unknown_key(key: str, ring: str) -> Verdict:
    return Verdict(
        fault=f"is signed with the key {one_line(key, 80)}, which is not in {ring}",
        hint=f"Sign it with a key of {ring}, or add this one there if its owner may change this host",
    )


def _signer(arguments: list[str]) -> str:
    """``ID (user)`` of a status line."""
    name = one_line(" ".join(arguments[1:]), 80)
    return f"{one_line(arguments[0], 80)} ({name})" if name else one_line(arguments[0], 80)
