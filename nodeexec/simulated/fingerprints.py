"""Short digests: of what a reading found, to tell whether it is another by now."""

from __future__ import annotations

import hashlib

import orjson

from reconciler.model.live import LiveObject


def fingerprint(live: LiveObject) -> str:
    """Equal for equal objects, in every process."""
    return digest_of(orjson.dumps(live, default=str, option=orjson.OPT_NON_STR_KEYS))


def digest_of(data: bytes) -> str:
    """16 hex digits."""
    return hashlib.sha256(data).hexdigest()[:16]
