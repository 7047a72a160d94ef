"""Whether a webhook's request was made by somebody who has a secret. Pure.

Source: the webhook pages of GitHub, GitLab, Bitbucket, Gitea and Forgejo; Standard Webhooks for GitLab's signing token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol

_HEX = (
    ("X-Hub-Signature-256", "sha256="),
    ("X-Hub-Signature", "sha256="),
    ("X-Gitea-Signature", ""),
    ("X-Forgejo-Signature", ""),
    ("X-Signature", "sha256="),
)
"""Headers with the HMAC-SHA256 of the body in hexadecimal, and what stands before it: GitHub and those that do as it
does, Bitbucket, Gitea, Forgejo, and what others send (the name that Flux gave its generic one).
"""
_TOKEN = "X-Gitlab-Token"  # noqa: S105  (a header's name)
_SIGNING_PREFIX = b"whsec_"


class Headers(Protocol):
    """A request's headers; ``get`` finds a name in any case."""

    def get(self, name: str, /) -> str | None:
        """The value; None when it was not sent."""
        ...


def is_authentic(headers: Headers, body: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether a header of any provider proves one of the secrets. Each comparison takes the same time wherever the values differ."""
    return any(_proves(headers, body, secret) for secret in secrets)


def _proves(headers: Headers, body: bytes, secret: bytes) -> bool:
    digest = hmac.digest(secret, body, hashlib.sha256).hex()
    expected = [(headers.get(name), f"{prefix}{digest}".encode()) for name, prefix in _HEX]
    expected.append((headers.get(_TOKEN), secret))
    matches = [hmac.compare_digest(_bytes(given), wanted) for given, wanted in expected if given is not None]
    return any(matches) or _proves_signing_token(headers, body, secret)


def _proves_signing_token(headers: Headers, body: bytes, secret: bytes) -> bool:
    """``webhook-signature``: one or more of ``v1,BASE64`` over id, time and body."""
    given = headers.get("webhook-signature")
    if given is None:
        return False
    key = secret
    if secret.startswith(_SIGNING_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_SIGNING_PREFIX), validate=True)
        except binascii.Error:
            return False
    facts = (_bytes(headers.get(name) or "") for name in ("webhook-id", "webhook-timestamp"))
    signed = b".".join((*facts, body))
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    return any(hmac.compare_digest(_bytes(one), expected) for one in given.split(" ")[:8])


def _bytes(text: str) -> bytes:
    """A header's value as it came over the wire."""
    return text.encode("latin-1", "replace")
