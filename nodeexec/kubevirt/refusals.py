"""A manifest that the API server or a webhook does not take: its words, at the place of the manifest that they are about. Pure.

*Source*: Kubernetes API conventions, ``StatusCause.field``; the limits on annotations and requests of its API concepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodeexec.kubevirt.errors import ApiError
from reconciler.model.document import Document, FieldPath
from reconciler.model.outcome import Outcome, Result

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")
_NAMED = re.compile(r"(?:spec|metadata|data)(?:\.[A-Za-z0-9_-]+|\[\d+\])+")
_UNKNOWN = re.compile(r"\.(\S+): field not declared in schema")
_NO_FIELD = ("", "<nil>", "[]")
_TOO_LARGE = re.compile(r"Too long: may not be more than|too large")
_LIMITS = (
    "the manifest is too large for a cluster, which takes about a megabyte an object, and 256 KiB of annotations, in one of which "
    "gitvirt keeps what it applied last (large ones compressed): make it smaller, or split it"
)


def refusal(error: ApiError, document: Document) -> Outcome:
    """The refusal with file, line and column of each field that it names; of the document where it names none."""
    if _TOO_LARGE.search(error.message) and "spec." not in error.message:
        return _refused(error, f"{document.place()}: {_LIMITS} ({error.message})")
    told = [f"{document.place(field_path(field))}: {field}: {message}" for field, message in _causes(error)]
    return _refused(error, "; ".join(told) or f"{document.place()}: {error.message}")


def _refused(error: ApiError, text: str) -> Outcome:
    return Outcome(result=Result.FAILED, reason=f"{error.request}: refused: {text.rstrip('.')}")


def field_path(text: str) -> FieldPath:
    """``spec.volumes[0].name`` → ``("spec", "volumes", 0, "name")``."""
    return tuple(int(index) if index else word or key for word, index, key in _PART.findall(text))


def _causes(error: ApiError) -> Iterator[tuple[str, str]]:
    named = [(field.lstrip("."), message) for field, message in error.causes if field.strip(".") not in _NO_FIELD]
    named = named or [(field, "no such field") for field in _UNKNOWN.findall(error.message)]
    yield from named
    if not named:
        found = _NAMED.search(error.message)
        if found:
            yield found.group(), error.message
