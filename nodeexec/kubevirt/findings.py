"""What may be wrong with an object of a cluster, and the words that others have for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nodeexec.kubevirt.conditions import condition
from nodeexec.kubevirt.marks import metadata_of, read_time
from reconciler.model.plain_text import one_line

LONGEST = 300
LONGEST_READ = 4000
_LOGIN = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@\"']*@", re.IGNORECASE)
_QUERY = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#\"']+)[?#][^\s\"'<>]*", re.IGNORECASE)
_VALUE = re.compile(
    r"(?i)\b(password|passwd|token|secret|authorization|access[_-]?key|api[_-]?key)(\"?\s*[:=]\s*)\"?(?:(?:basic|bearer)\s+)?[^\s\",;]+"
)
_BEARER = re.compile(r"(?i)\b(basic|bearer)\s+[a-z0-9+/=._~-]{6,}")


class Subject(NamedTuple):
    """An object that events are about; ``uid`` where its name is not known."""

    kind: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is not well: one word of the platform's and its sentence. ``about`` are the objects whose events may say more. What is
    not ``certain`` may just take long: it is wrong if a warning says so.
    """

    word: str
    text: str = ""
    about: tuple[Subject, ...] = ()
    certain: bool = True

    def told(self, why: str) -> str:
        """For a person; ``why`` is the newest warning about it, empty for none."""
        parts = dict.fromkeys(part for part in (self.text, why) if part)
        said = "; ".join(part for part in parts if not any(part != other and part in other for other in parts))
        return f"{self.word}: {said}" if said else self.word


def told(text: Any) -> str:
    """A sentence of somebody else's as it may be shown: one line, without logins and queries of addresses, and without what is called a
    password, a token or a key.
    """
    said = _QUERY.sub(r"\1", _LOGIN.sub(r"\1", str(text or "")[:LONGEST_READ]))
    said = _BEARER.sub(r"\1 (secret)", _VALUE.sub(r"\1\2(secret)", said))
    return one_line(said, LONGEST).rstrip(".")


def message_of(document: Mapping[str, Any] | None, *names: str) -> str:
    """The sentence of the first of these conditions that has one."""
    said = (told((condition(document, name) or {}).get("message")) for name in names)
    return next((text for text in said if text), "")


def age_s(document: Mapping[str, Any] | None, now: datetime) -> float:
    """Seconds since an object, or the latest transition of its conditions, is as it is."""
    status = (document or {}).get("status") or {}
    times = [read_time(one.get("lastTransitionTime")) for one in status.get("conditions") or ()]
    times += [read_time(one.get("phaseTransitionTimestamp")) for one in status.get("phaseTransitionTimestamps") or ()]
    times.append(read_time(metadata_of(document or {}).get("creationTimestamp")))
    latest = max((at for at in times if at is not None), default=now)
    return max(0.0, (now - latest).total_seconds())


def subject_of(kind: str, document: Mapping[str, Any]) -> Subject:
    """An object whose document is at hand."""
    metadata = metadata_of(document)
    return Subject(kind, str(metadata.get("namespace", "")), str(metadata.get("name", "")))
