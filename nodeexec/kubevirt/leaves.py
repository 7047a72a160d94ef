"""Three documents side by side, leaf by leaf: what is declared, what was declared when it was last applied, what is live. Pure.

Lists of named items are joined by name, all others by place. What neither declaration names is nobody's business here, but
for items of lists that are owned whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.quantity import parse_quantity

MASK = "digest:"
"""Begins a secret's value in an applied document: it says only whether there is one."""

ABSENT: Any = object()
OWNED_WHOLE = re.compile(r"spec\.template\.spec\.(domain\.devices\.(disks|interfaces)|volumes|networks)$")
"""Lists of which an item that nobody declared is somebody's act."""

_QUANTITIES = re.compile(
    r"(\.(requests|limits|capacity|hugepages)\b|\.memory\b|\.(guest|maxGuest|cpu|storage|pageSize)$)"
)


_TYPED = re.compile(r"spec\.(template|source)\.")
_STRINGS = re.compile(r"\.(nodeSelector|labels|annotations|matchLabels)$")
_FALSE_IS_LEFT_OUT = frozenset(
    {
        "hotpluggable", "readonly", "reservation", "dedicatedCpuPlacement", "isolateEmulatorThread", "disableHotplug",
        "overcommitGuestOverhead", "hidden", "endOfInterrupt", "default",
    }
)  # fmt: skip
_ZERO_IS_LEFT_OUT = frozenset({"cores", "sockets", "threads", "maxSockets", "acpiIndex", "logical", "physical"})
_EMPTY_IS_LEFT_OUT = frozenset({"nodeSelector", "labels", "annotations", "matchLabels", "requests", "limits"})


@dataclass(frozen=True, slots=True)
class Unlike:
    """One place where live is not as declared. ``before`` and ``after`` are `ABSENT` for what is not there; ``foreign`` is an item
    that nobody declared.
    """

    path: str
    before: Any
    after: Any
    foreign: bool = False


def unlike(wanted: Any, last: Any, live: Any, path: str = "") -> Iterator[Unlike]:
    """Every place where ``live`` is not as ``wanted``, over what is declared now and what was ``last``."""
    if wanted is None or ((live is ABSENT or wanted == "") and says_nothing(path, wanted)):
        wanted = ABSENT
    if last == "" and says_nothing(path, last):
        last = ABSENT
    if wanted is ABSENT:
        yield from _no_longer(last, live, path)
    elif isinstance(wanted, Mapping):
        yield from _mapping(wanted, last, live, path)
    elif isinstance(wanted, list):
        yield from _list(wanted, last, live, path)
    elif not same(wanted, live, path):
        yield Unlike(path, live, wanted)


def _no_longer(last: Any, live: Any, path: str) -> Iterator[Unlike]:
    """Declared before and not now: it must go."""
    if last is ABSENT or last is None or live is ABSENT or live is None:
        return
    if isinstance(last, Mapping) and last and isinstance(live, Mapping):
        for name, value in last.items():
            yield from _no_longer(value, live.get(name, ABSENT), below(path, name))
    elif is_named(last) and last and is_named(live):
        there = by_name(live)
        for name, value in by_name(last).items():
            if name in there:
                yield Unlike(f"{path}[{name}]", there[name], ABSENT)
            del value
    else:
        yield Unlike(path, live, ABSENT)


def _mapping(wanted: Mapping[str, Any], last: Any, live: Any, path: str) -> Iterator[Unlike]:
    if not isinstance(live, Mapping):
        if not wanted and live is not ABSENT and live is not None:
            yield Unlike(path, live, wanted)
        elif not wanted or any(value is not None for value in wanted.values()):
            yield Unlike(path, ABSENT if live is None else live, wanted)
        return
    before = last if isinstance(last, Mapping) else {}
    for name in (*wanted, *(name for name in before if name not in wanted)):
        yield from unlike(wanted.get(name, ABSENT), before.get(name, ABSENT), live.get(name, ABSENT), below(path, name))


def _list(wanted: list[Any], last: Any, live: Any, path: str) -> Iterator[Unlike]:
    if not wanted and (live is ABSENT or live is None or live == []):
        return
    if not isinstance(live, list):
        yield Unlike(path, ABSENT if live is None else live, wanted)
        return
    if (is_named(wanted) and is_named(live)) and (wanted or OWNED_WHOLE.search(path)):
        yield from _named(wanted, last, live, path)
    elif len(wanted) != len(live):
        yield Unlike(path, live, wanted)
    else:
        before = last if isinstance(last, list) and len(last) == len(wanted) else [ABSENT] * len(wanted)
        for index, (want, was, have) in enumerate(zip(wanted, before, live, strict=True)):
            yield from unlike(want, was, have, f"{path}[{index}]")


def _named(wanted: list[Any], last: Any, live: list[Any], path: str) -> Iterator[Unlike]:
    want, have = by_name(wanted), by_name(live)
    was = by_name(last) if is_named(last) else {}
    for name, item in want.items():
        if name not in have:
            yield Unlike(f"{path}[{name}]", ABSENT, item)
        else:
            yield from unlike(item, was.get(name, ABSENT), have[name], f"{path}[{name}]")
    for name, item in have.items():
        if name in want:
            continue
        if name in was:
            yield Unlike(f"{path}[{name}]", item, ABSENT)
        elif OWNED_WHOLE.search(path):
            yield Unlike(f"{path}[{name}]", item, ABSENT, foreign=True)


def says_nothing(path: str, wanted: Any) -> bool:
    """Whether a field is one that KubeVirt or CDI leave out when it is empty, as this one is: their webhooks write a specification again
    from types of their own. An empty text says nothing even where they fill something in.

    *Source*: their API types, fields that are no pointers and have ``omitempty``.
    """
    above, _, name = path.rpartition(".")
    if not _TYPED.match(path) or _STRINGS.search(above):
        return False
    if isinstance(wanted, bool):
        return not wanted and name in _FALSE_IS_LEFT_OUT
    if isinstance(wanted, int):
        return wanted == 0 and name in _ZERO_IS_LEFT_OUT
    return not wanted and (isinstance(wanted, str) or (isinstance(wanted, Mapping) and name in _EMPTY_IS_LEFT_OUT))


def is_named(value: Any) -> bool:
    """Whether a value is a list of items that each have a name of their own."""
    if not isinstance(value, list):
        return False
    names = [item.get("name") for item in value if isinstance(item, Mapping)]
    return len(names) == len(value) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def by_name(items: list[Any]) -> dict[str, Any]:
    """The items of a list by their names."""
    return {item["name"]: item for item in items}


def same(wanted: Any, live: Any, path: str) -> bool:
    """Whether two scalars mean the same there."""
    if live is ABSENT or live is None:
        return False
    if isinstance(wanted, str) and wanted.startswith(MASK):
        return True
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return True
    if path.endswith(".macAddress"):
        return str(wanted).lower().replace("-", ":") == str(live).lower().replace("-", ":")
    if isinstance(wanted, bool) or isinstance(live, bool) or not _QUANTITIES.search(path):
        return False
    try:
        return parse_quantity(wanted) == parse_quantity(live)
    except (ValueError, TypeError):
        return False


def below(path: str, name: str) -> str:
    """The path of a field of what stands at ``path``."""
    return f"{path}.{name}" if path else str(name)
