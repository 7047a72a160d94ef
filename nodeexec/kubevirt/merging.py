"""Named lists of three documents made one: what is declared, and what nobody declared and is there. Pure.

To server-side apply each of these lists is one value, so whoever writes one item writes all of them. What means the same as what is there is
written as it is there (``2Gi`` for ``2048Mi``): another form of it would be a conflict with whoever wrote that.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.leaves import OWNED_WHOLE, below, by_name, is_named, same, says_nothing


def merged(wanted: Any, last: Any, live: Any, path: str = "") -> Any:
    """``wanted``, with what stands in ``live`` inside of its owned lists and neither ``wanted`` nor ``last`` names."""
    if isinstance(wanted, Mapping):
        was = last if isinstance(last, Mapping) else {}
        have = live if isinstance(live, Mapping) else {}
        return {
            name: merged(value, was.get(name), have.get(name), below(path, name))
            for name, value in wanted.items()
            if not _is_left_out(below(path, name), name, value, have)
        }
    if OWNED_WHOLE.search(path) and is_named(wanted) and is_named(live):
        return _items(wanted, last, live, path)
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [
            merged(want, None, have, f"{path}[{at}]") for at, (want, have) in enumerate(zip(wanted, live, strict=True))
        ]
    return _in_form(wanted, live, path)


def _in_form(wanted: Any, live: Any, path: str) -> Any:
    """A value; as it is there where that means the same."""
    is_scalar = isinstance(wanted, str | int | float)
    return live if is_scalar and live is not None and same(wanted, live, path) else copy.deepcopy(wanted)


def _is_left_out(path: str, name: str, value: Any, live: Mapping[str, Any]) -> bool:
    """Whether a field says nothing and is not there either, on an object that is."""
    return bool(live) and name not in live and says_nothing(path, value)


def _items(wanted: list[Any], last: Any, live: list[Any], path: str) -> list[Any]:
    want, have = by_name(wanted), by_name(live)
    was = by_name(last) if is_named(last) else {}
    made = [_kept(item, was.get(name), have.get(name), f"{path}[{name}]") for name, item in want.items()]
    strangers = [copy.deepcopy(item) for name, item in have.items() if name not in want and name not in was]
    return [*made, *strangers]


def _kept(wanted: Any, last: Any, live: Any, path: str) -> Any:
    """One item: as declared, with what others wrote into it."""
    if not isinstance(wanted, Mapping):
        return _in_form(wanted, live, path)
    was = last if isinstance(last, Mapping) else {}
    have = live if isinstance(live, Mapping) else {}
    made = {
        name: _kept(value, was.get(name), have.get(name), below(path, name))
        for name, value in wanted.items()
        if not _is_left_out(below(path, name), name, value, have)
    }
    if have and not _is_choice(wanted, have):
        made |= {name: copy.deepcopy(value) for name, value in have.items() if name not in wanted and name not in was}
    return made


def _is_choice(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether the two name different members of a choice (``disk`` or ``cdrom``), so that both cannot stand together."""
    return any(name in wanted for name in _CHOICES) and any(name in live and name not in wanted for name in _CHOICES)


_CHOICES = (
    "disk", "cdrom", "lun", "bridge", "masquerade", "sriov", "slirp", "passt", "macvtap", "pod", "multus",
    "persistentVolumeClaim", "dataVolume", "cloudInitNoCloud", "cloudInitConfigDrive", "emptyDisk", "containerDisk",
    "configMap", "secret", "serviceAccount", "hostDisk", "ephemeral", "sysprep", "downwardAPI", "memoryDump",
)  # fmt: skip
"""Members of which an item of such a list has one."""
