"""``accessCredentials``: SSH keys and passwords of a guest's users, through cloud-init or the guest's agent.

Source: KubeVirt's documentation on access credentials. A Secret of SSH keys holds any number of them under any names; one of
passwords maps user names to passwords. Through the agent a user's authorized keys become exactly those declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import GuestAccess, GuestCredential
from reconciler.model.secret import Secret
from reconciler.planning.redact import Digest
from reconciler.planning.seed import object_files

Documents = Mapping[ObjectKey, Document]


def cloud_init_keys(
    credentials: Sequence[Mapping[str, Any]], namespace: str, documents: Documents, method: str
) -> tuple[str, ...]:
    """The SSH public keys that go into a cloud-init volume; ``method`` is ``noCloud`` or ``configDrive``.

    Raises:
        MissingReferenceError: a Secret it names is not there.
    """
    keys: list[str] = []
    for credential in credentials:
        declared = credential.get("sshPublicKey") or {}
        if method in (declared.get("propagationMethod") or {}):
            keys += _ssh_keys(declared, namespace, documents)
    return tuple(keys)


def guest_access(
    credentials: Sequence[Mapping[str, Any]], namespace: str, documents: Documents, digest: Digest
) -> GuestAccess | None:
    """What the guest's agent has to set; None for nothing.

    Raises:
        MissingReferenceError: a Secret it names is not there.
    """
    keys: dict[str, list[str]] = {}
    passwords: dict[str, bytes] = {}
    for credential in credentials:
        ssh, password = credential.get("sshPublicKey") or {}, credential.get("userPassword") or {}
        agent = (ssh.get("propagationMethod") or {}).get("qemuGuestAgent")
        if agent is not None:
            found = _ssh_keys(ssh, namespace, documents)
            for user in agent.get("users") or ():
                keys.setdefault(str(user), []).extend(found)
        if "qemuGuestAgent" in (password.get("propagationMethod") or {}):
            # Files end in a line break that nobody means as a part of a password.
            passwords |= {user: text.rstrip(b"\r\n") for user, text in _entries(password, namespace, documents).items()}
    entries = (
        *(GuestCredential(user=user, ssh_keys=tuple(dict.fromkeys(lines))) for user, lines in sorted(keys.items())),
        *(GuestCredential(user=user, password=Secret(text)) for user, text in sorted(passwords.items())),
    )
    if not entries:
        return None
    return GuestAccess(credentials=entries, digest=digest(b"\0\0".join(map(_bytes, entries))))


def _bytes(credential: GuestCredential) -> bytes:
    if credential.password is not None:
        return b"\0".join((b"password", credential.user.encode(), credential.password.reveal))
    return b"\0".join((b"ssh", credential.user.encode(), *(key.encode() for key in credential.ssh_keys)))


def _ssh_keys(declared: Mapping[str, Any], namespace: str, documents: Documents) -> list[str]:
    entries = _entries(declared, namespace, documents)
    texts = [content.decode(errors="replace") for _, content in sorted(entries.items())]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _entries(declared: Mapping[str, Any], namespace: str, documents: Documents) -> Mapping[str, bytes]:
    name = ((declared.get("source") or {}).get("secret") or {}).get("secretName")
    return object_files(ObjectKey("Secret", namespace, str(name)), documents) if name else {}
