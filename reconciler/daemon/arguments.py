"""Reads the arguments of a request: they come from outside, so every one is checked for type, form and size."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model.errors import DaemonError
from reconciler.model.keys import ObjectKey

KINDS: Mapping[str, tuple[str, ...]] = {
    "vm": ("VirtualMachine",),
    "vmi": ("VirtualMachine",),
    "pvc": ("PersistentVolumeClaim",),
    "dv": ("DataVolume",),
    "net": ("NetworkAttachmentDefinition", "PodNetwork"),
    "all": ("VirtualMachine", "PersistentVolumeClaim", "DataVolume", "NetworkAttachmentDefinition", "PodNetwork"),
}
"""What commands call kinds, and the kinds they mean."""

ADOPTED_KINDS = ("vm", "pvc", "dv", "net")
"""What is taken over and let go of by itself."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9._=+:@-]{1,300}")
_MAX_TEXT = 500
_LONGEST_S = 3650 * 86400.0


class Arguments:
    """One request's arguments, taken one by one; `finish` refuses what nobody took."""

    def __init__(self, verb: str, arguments: Mapping[str, Any]) -> None:
        self._verb = verb
        self._left = dict(arguments)

    def text(self, name: str, default: str = "") -> str:
        """Free text of at most 500 characters."""
        value = self._left.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self._wrong(name, f"must be text of at most {_MAX_TEXT} characters")
        return value

    def word(self, name: str) -> str:
        """A required identifier."""
        value = self.text(name)
        if not _WORD.fullmatch(value):
            raise self._wrong(name, "must be a name" if value else "is missing")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Any number of identifiers."""
        value = self._left.pop(name, None) or []
        if not isinstance(value, list) or not all(isinstance(item, str) and _WORD.fullmatch(item) for item in value):
            raise self._wrong(name, "must be a list of names")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """True or false, false when absent."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "must be true or false")
        return bool(value)

    def seconds(self, name: str) -> float | None:
        """A duration, None when absent."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_S:
            raise self._wrong(name, "must be seconds above 0 and at most ten years")
        return float(value)

    def number(self, name: str) -> int:
        """A count, 0 when absent."""
        value = self._left.pop(name, None)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, "must be a number of at least 0")
        return value

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """One of ``choices``."""
        value = self.text(name, default)
        if value not in choices:
            raise self._wrong(name, f"must be one of {', '.join(choices)}")
        return value

    def name(self, name: str) -> str:
        """The name of an object or namespace; empty when absent."""
        value = self.text(name)
        if value and not _NAME.fullmatch(value):
            raise self._wrong(name, "must be a Kubernetes name (lower-case letters, digits, hyphens, dots)")
        return value

    def vm(self, default_namespace: str) -> ObjectKey:
        """The VM that ``namespace`` and ``name`` say."""
        return self._named("VirtualMachine", default_namespace)

    def object(self, default_namespace: str) -> ObjectKey:
        """The object that ``kind`` (a VM when absent), ``namespace`` and ``name`` say."""
        kind = self.choice("kind", ADOPTED_KINDS, "vm")
        return self._named(KINDS[kind][0], default_namespace)

    def _named(self, kind: str, default_namespace: str) -> ObjectKey:
        name = self.name("name")
        if not name:
            raise self._wrong("name", "is missing")
        return ObjectKey(kind, self.name("namespace") or default_namespace, name)

    def finish(self) -> None:
        """Refuse arguments that the verb does not know."""
        if self._left:
            raise DaemonError(f"{self._verb} takes no argument {sorted(self._left)[0][:60]!r}.")

    def _wrong(self, name: str, text: str) -> DaemonError:
        return DaemonError(f"{self._verb}: {name} {text}.")
