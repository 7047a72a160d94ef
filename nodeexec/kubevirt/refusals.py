"""A manifest that the API server or a webhook does not take: its words, at the place of the manifest that they are about. Pure.

*Source*: Kubernetes API conventions, ``StatusCause.field``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodeexec.kubevirt.errors import ApiError
from reconciler.model.document import Document, FieldPath
from reconciler.model.outcome import Outcome, Result

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")
_NAMED = re.compile(r"(?:spec|metadata|data)(?:\.[A-Za-z0-9_-]+|\[\d+\])+")
_REFUSED = (400, 403, 422)


def is_refusal(error: ApiError) -> bool:
    """Whether the document itself was refused; a webhook's no comes as any of these, RBAC's no has no cause."""
    denied = error.status == _REFUSED[1] and "admission webhook" in error.message
    return denied or error.status in (_REFUSED[0], _REFUSED[2])


def refusal(error: ApiError, document: Document) -> Outcome:
    """The refusal with file, line and column of each field that it names; of the document where it names none."""
    told = [f"{document.place(field_path(field))}: {field}: {message}" for field, message in _causes(error)]
    text = "; ".join(told) or f"{document.place()}: {error.message}"
    return Outcome(result=Result.FAILED, reason=f"{error.request}: refused: {text.rstrip('.')}")


def field_path(text: str) -> FieldPath:
    """``spec.volumes[0].name`` → ``("spec", "volumes", 0, "name")``."""
    return tuple(int(index) if index else word or key for word, index, key in _PART.findall(text))


def _causes(error: ApiError) -> Iterator[tuple[str, str]]:
    named = [(field.lstrip("."), message) for field, message in error.causes if field.strip(".") not in ("", "<nil>")]
    yield from named
    if not named:
        found = _NAMED.search(error.message)
        if found:
            yield found.group(), error.message
