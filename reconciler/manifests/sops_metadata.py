"""What a document's ``sops`` entry says: who can open it, which values are encrypted, and the MAC over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs
import pyrage

from reconciler.model.document import FieldPath
from reconciler.model.secret import Secret

DEFAULT_UNENCRYPTED_SUFFIX = "_unencrypted"
_DATA_KEY_BYTES = 32
_MOST_RECIPIENTS = 100
_LONGEST_STANZA = 64 * 1024
_LONGEST_PATTERN = 1000
_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_COMMENT_RULES = ("unencrypted_comment_regex", "encrypted_comment_regex")
_SERVICES = {
    "kms": "AWS KMS",
    "gcp_kms": "GCP KMS",
    "hckms": "Huawei Cloud KMS",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "Vault",
    "pgp": "PGP",
}


class SopsFaultError(Exception):
    """Why a document cannot be opened: a problem's code, text, hint, and the path of the value where it is one value's."""

    def __init__(self, code: str, message: str, hint: str = "", *, path: FieldPath = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.path = code, message, hint, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """``stanzas`` are the data key as encrypted for each age recipient, ``recipients`` their names; ``rule`` is which
    values are encrypted, as (rule, text).
    """

    recipients: tuple[str, ...]
    stanzas: tuple[str, ...]
    rule: tuple[str, str]
    mac: str
    last_modified: str
    mac_only_encrypted: bool

    def is_encrypted(self, names: Sequence[str]) -> bool:
        """Whether the value below these keys is encrypted."""
        kind, text = self.rule
        if kind.endswith("suffix"):
            matches = any(name.endswith(text) for name in names)
        else:
            found = _pattern(text)
            matches = any(found(name) for name in names)
        return matches if kind.startswith("encrypted") else not matches


def read_metadata(node: Mapping[str, Any]) -> Metadata:
    """The metadata of one document.

    Raises:
        SopsFaultError: damaged, or of a kind that is not read.
    """
    if node.get("key_groups"):
        text = "the data key is split between key groups (Shamir's scheme), which is not read"
        raise SopsFaultError("sops-metadata", text, "encrypt it with one group of age recipients")
    stated = [name for name in _COMMENT_RULES if node.get(name)]
    if stated:
        text = f"{stated[0]} chooses what is encrypted by comments, which is not read"
        raise SopsFaultError("sops-metadata", text, "use encrypted_regex")
    rules = [(name, node[name]) for name in _RULES if node.get(name)]
    if len(rules) > 1 or any(not isinstance(text, str) or len(text) > _LONGEST_PATTERN for _, text in rules):
        raise SopsFaultError("sops-metadata", "at most one rule may say what is encrypted, as text", _RESTORE)
    mac, last_modified = node.get("mac"), node.get("lastmodified")
    if not isinstance(mac, str) or not isinstance(last_modified, str) or not mac:
        raise SopsFaultError("sops-metadata", "the metadata has no mac or no lastmodified", _RESTORE)
    rule = rules[0] if rules else ("unencrypted_suffix", DEFAULT_UNENCRYPTED_SUFFIX)
    if rule[0].endswith("regex"):
        _pattern(rule[1])
    recipients = _age(node)
    return Metadata(
        recipients=tuple(name for name, _ in recipients),
        stanzas=tuple(stanza for _, stanza in recipients),
        rule=rule,
        mac=mac,
        last_modified=last_modified,
        mac_only_encrypted=node.get("mac_only_encrypted") is True,
    )


_RESTORE = "restore the file from Git's history, and edit it with `sops FILE` only"


def _age(node: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(recipient, armoured data key) of each age recipient."""
    entries = node.get("age") or []
    if not isinstance(entries, list) or len(entries) > _MOST_RECIPIENTS:
        raise SopsFaultError("sops-metadata", f"age must be a list of at most {_MOST_RECIPIENTS} recipients", _RESTORE)
    found = []
    for entry in entries:
        recipient, stanza = (entry.get("recipient"), entry.get("enc")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(recipient, str) or not isinstance(stanza, str) or len(stanza) > _LONGEST_STANZA:
            raise SopsFaultError("sops-metadata", "an age recipient has no usable recipient or enc", _RESTORE)
        found.append((recipient[:100], stanza))
    if not found:
        named = ", ".join(words for name, words in _SERVICES.items() if node.get(name))
        text = f"it is encrypted for {named} only" if named else "it names nobody who could decrypt it"
        hint = "add an age recipient: put it into .sops.yaml and run `sops updatekeys FILE`"
        raise SopsFaultError("sops-key-service", f"{text}; age is the only kind of key that is read", hint)
    return found


def data_key_of(metadata: Metadata, identities: Sequence[Secret]) -> bytes:
    """The key that the values are encrypted with. ``identities`` are age identities as their key files hold them.

    Raises:
        SopsFaultError: none of the identities opens it.
    """
    opened = [identity_of(one) for one in identities]
    damaged = False
    for stanza in metadata.stanzas:
        try:
            key: bytes = pyrage.decrypt(stanza.encode(), opened)
        except pyrage.DecryptError as error:
            damaged = damaged or "No matching keys" not in str(error)
            continue
        if len(key) == _DATA_KEY_BYTES:
            return key
        damaged = True
    named = ", ".join(metadata.recipients[:5]) + (", …" if len(metadata.recipients) > 5 else "")
    if damaged:
        raise SopsFaultError("sops-metadata", f"the data key for {named} is damaged", _RESTORE)
    text = f"no age key of this host opens it; it is encrypted for {named}"
    hint = "add this host's public key to .sops.yaml and run `sops updatekeys FILE`, or put the right key into secrets.ageKeyFile"
    raise SopsFaultError("sops-no-key", text, hint)


def identity_of(secret: Secret) -> Any:
    """An age identity, or an SSH private key used as one.

    Raises:
        ValueError: it is neither; the message says nothing of it.
    """
    text = secret.reveal
    try:
        if text.startswith(b"-----BEGIN"):
            return pyrage.ssh.Identity.from_buffer(text)
        return pyrage.x25519.Identity.from_str(text.decode("ascii"))
    except (pyrage.IdentityError, ValueError):
        raise ValueError("not an age identity") from None


@lru_cache(maxsize=64)
def _pattern(text: str) -> Callable[[str], bool]:
    """Whether a key has a match for the pattern. The engine is one that takes linear time, as Go's does: the pattern comes
    from a repository.

    Raises:
        SopsFaultError: it is not a pattern.
    """
    options = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)
    try:
        validator = jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=options)
    except ValueError:
        raise SopsFaultError(
            "sops-metadata", "the pattern that says what is encrypted cannot be read", _RESTORE
        ) from None
    return lambda name: bool(validator.is_valid(name))
