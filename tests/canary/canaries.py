"""Values that must never be seen again, and every form in which one might slip out."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_CORE = 20


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary that was seen: which, in which form, where, and what stood around it."""

    canary: str
    form: str
    place: str
    around: str

    def __str__(self) -> str:
        return f"{self.canary} ({self.form}) in {self.place}: …{self.around}…"


@dataclass(slots=True)
class Canaries:
    """Makes them and looks for them."""

    values: dict[str, str] = field(default_factory=dict)

    def plant(self, name: str) -> str:
        """A new value: a word and 20 random characters that nothing else has."""
        self.values[name] = f"kanari{secrets.token_hex(_CORE // 2)}"
        return self.values[name]

    def number(self, name: str) -> int:
        """A new value that is a number."""
        number = secrets.randbelow(8 * 10**14) + 10**14
        self.values[name] = str(number)
        return number

    def seen_in(self, places: Mapping[str, bytes]) -> list[Sighting]:
        """Every canary in every form in every place, once each."""
        return [found for name, value in self.values.items() for found in _sightings(name, value, places)]


def _sightings(name: str, value: str, places: Mapping[str, bytes]) -> Iterator[Sighting]:
    needles = dict(_forms(value))
    for place, content in places.items():
        lowered = content.lower()
        for form, needle in needles.items():
            at = (content if form.startswith("base64") else lowered).find(needle)
            if at >= 0:
                around = content[max(0, at - 60) : at + len(needle) + 60]
                yield Sighting(name, form, place, around.decode(errors="replace"))
                break


def _forms(value: str) -> Iterable[tuple[str, bytes]]:
    """Escaping for JSON, XML, YAML, shells and URLs leaves letters and digits alone, so the plain form covers those."""
    core = value.removeprefix("kanari")
    half = len(core) // 2
    yield "plain", core.encode()
    yield "first half", core[:half].encode()
    yield "second half", core[half:].encode()
    yield "reversed", core[::-1].encode()
    yield "hexadecimal", core.encode().hex().encode()
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + value.encode())
        yield f"base64 at {offset}", whole[4 if offset else 0 : -4]
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        yield algorithm, hashlib.new(algorithm, value.encode(), usedforsecurity=False).hexdigest()[:12].encode()
