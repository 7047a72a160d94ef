"""Named lists of three documents made one: what is declared, and what nobody declared and is there. Pure.

To server-side apply each of these lists is one value, so whoever writes one item writes all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.leaves import OWNED_WHOLE, by_name, is_named


def merged(wanted: Any, last: Any, live: Any, path: str = "") -> Any:
    """``wanted``, with what stands in ``live`` inside of its owned lists and neither ``wanted`` nor ``last`` names."""
    if isinstance(wanted, Mapping):
        was = last if isinstance(last, Mapping) else {}
        have = live if isinstance(live, Mapping) else {}
        return {
            name: merged(value, was.get(name), have.get(name), f"{path}.{name}" if path else str(name))
            for name, value in wanted.items()
        }
    if OWNED_WHOLE.search(path) and is_named(wanted) and is_named(live):
        return _items(wanted, last, live)
    return copy.deepcopy(wanted)


def _items(wanted: list[Any], last: Any, live: list[Any]) -> list[Any]:
    want, have = by_name(wanted), by_name(live)
    was = by_name(last) if is_named(last) else {}
    made = [_kept(item, was.get(name), have.get(name)) for name, item in want.items()]
    strangers = [copy.deepcopy(item) for name, item in have.items() if name not in want and name not in was]
    return [*made, *strangers]


def _kept(wanted: Any, last: Any, live: Any) -> Any:
    """One item: as declared, with what others wrote into it."""
    if not isinstance(wanted, Mapping):
        return copy.deepcopy(wanted)
    was = last if isinstance(last, Mapping) else {}
    have = live if isinstance(live, Mapping) else {}
    made = {name: _kept(value, was.get(name), have.get(name)) for name, value in wanted.items()}
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
