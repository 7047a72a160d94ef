"""JSON that is kept."""

from __future__ import annotations

from typing import Any

import orjson


def compact_json(data: Any, *, sort_keys: bool = False) -> bytes:
    """Data as JSON in no more memory than it needs: orjson leaves room to grow behind what it wrote, some 4 KB of it behind
    a manifest of 400 bytes.

    Raises:
        TypeError: a number has more than 64 bits.
    """
    return bytes(memoryview(orjson.dumps(data, option=orjson.OPT_SORT_KEYS if sort_keys else 0)))
