"""A hold's name is the hash of its changes alone, so that a release fits exactly what a person read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from reconciler.model.plan import Change


def hold_id(changes: Iterable[Change]) -> str:
    """12 hex digits of what is held: which objects, what is done to them, and to which end. Live state that moves by
    itself does not take part, so a plan made before a merge names the same hold as the one after it.
    """
    content = [
        [str(change.key), str(change.action), [[d.path, d.after] for d in change.differences]]
        for change in sorted(changes, key=lambda change: change.key)
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]
