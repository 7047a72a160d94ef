"""The wave that an object belongs to: objects of a source are brought about wave by wave, the lowest number first.

*Source*: Argo CD's documentation, "Sync Phases and Waves"; its annotation is honoured beside gitvirt's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SYNC_WAVE = "gitvirt.io/sync-wave"
ARGO_SYNC_WAVE = "argocd.argoproj.io/sync-wave"
ANNOTATIONS = (SYNC_WAVE, ARGO_SYNC_WAVE)
"""The one that comes first counts, where an object has both."""

MARK = b"sync-wave"
"""A manifest without these bytes says nothing of waves."""

MAX_DIGITS = 9
_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}")


class Wave(NamedTuple):
    """The source that an object is of (`Origin.identity`), and its number. Waves of different sources know nothing of each other."""

    source: str
    number: int


def wave_number(body: Any) -> int:
    """What a manifest, which need not be valid, says of its wave; 0 for nothing, and for what is no number."""
    annotations = _annotations(body)
    said = next((str(annotations[name]) for name in ANNOTATIONS if name in annotations), "0")
    return int(said) if _NUMBER.fullmatch(said) else 0


def wrong_waves(body: Any) -> Iterator[tuple[str, str]]:
    """(annotation, value) of those that are no number."""
    annotations = _annotations(body)
    for name in ANNOTATIONS:
        value = annotations.get(name, "0")
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            yield name, str(value)


def _annotations(body: Any) -> Mapping[str, Any]:
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return annotations if isinstance(annotations, Mapping) else {}
