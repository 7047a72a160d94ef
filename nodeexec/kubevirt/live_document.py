"""Live and wanted objects as people see them: the served document, or the manifest, without secrets. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.compare import shown
from nodeexec.kubevirt.marks import APPLIED
from reconciler.model.live import LiveObject
from reconciler.model.resolved import Resolved


def live_document(live: LiveObject) -> Mapping[str, Any]:
    """The object as it is served; what gitvirt remembers of its manifest is left out."""
    if live.served is None:
        return dict((live.marks.applied if live.marks else None) or {})
    document: dict[str, Any] = shown("", live.served.document)
    metadata = document.get("metadata") or {}
    said = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != APPLIED}
    made = {**document, "metadata": {**metadata, **({"annotations": said} if said else {})}}
    if live.served.instance is not None:
        made["instance"] = shown("", live.served.instance)
    return made


def described(resolved: Resolved) -> str:
    """The manifest as it is to be, as JSON."""
    return json.dumps(shown("", dict(resolved.applied)), indent=2, sort_keys=True)
