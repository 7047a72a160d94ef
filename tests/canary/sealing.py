"""Writes SOPS documents, as little of it as tests with fresh values need; `sops` itself reads them."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import pyrage
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODIFIED = "2026-01-01T00:00:00Z"


def _encrypted(cipher: AESGCM, text: str, associated: str) -> str:
    nonce = os.urandom(32)
    whole = cipher.encrypt(nonce, text.encode(), associated.encode())
    data, iv, tag = (base64.b64encode(part).decode() for part in (whole[:-16], nonce, whole[-16:]))
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"


def sealed(body: dict[str, Any], identity: Any, fields: tuple[str, ...]) -> str:
    """The document with all text below ``fields`` encrypted for the age ``identity``. All values must be text."""
    key = os.urandom(32)
    cipher, mac = AESGCM(key), hashlib.sha512()

    def walk(node: Any, path: tuple[str, ...]) -> Any:
        if isinstance(node, dict):
            return {name: walk(value, (*path, name)) for name, value in node.items()}
        if isinstance(node, list):
            return [walk(value, path) for value in node]
        mac.update(node.encode())
        return _encrypted(cipher, node, ":".join(path) + ":") if set(path) & set(fields) else node

    recipient = identity.to_public()
    metadata = {
        "age": [{"recipient": str(recipient), "enc": pyrage.encrypt(key, [recipient], armored=True).decode()}],
        "lastmodified": MODIFIED,
        "encrypted_regex": f"^({'|'.join(fields)})$",
        "version": "3.11.0",
    }
    whole = walk(body, ())
    return yaml.safe_dump(
        {**whole, "sops": {**metadata, "mac": _encrypted(cipher, mac.hexdigest().upper(), MODIFIED)}}, sort_keys=False
    )
