"""Where and how an object's last known live state stands in the journal's tree. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import quote

import yaml

from reconciler.model.keys import ObjectKey

HELD_FILE = "_held.yaml"
PROBLEMS_FILE = "_problems.yaml"
SOURCE_FILE = "_source.yaml"
_CLUSTER = "_cluster"
_PART_LIMIT = 200
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BASE):  # type: ignore[misc]  # which one it is shows when this runs
    """Block style without anchors, so that one changed field is one changed line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeated values are written out each time."""
        del data
        return True


def object_path(key: ObjectKey) -> str:
    """``default/VirtualMachine/web.yaml``; ``_cluster/PodNetwork/pod.yaml`` for a cluster-scoped object.

    Characters that no Kubernetes name has are written as ``%XX``, so any key has one path and none leads elsewhere.
    """
    namespace = _part(key.namespace) if key.namespace else _CLUSTER
    return f"{namespace}/{_part(key.kind)}/{_part(key.name)}.yaml"


def to_yaml(value: Any) -> bytes:
    """Plain data as YAML: keys sorted, block style, ASCII, so equal data are equal bytes."""
    text: str = yaml.dump(
        _plain(value), Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=False, width=1_000_000
    )
    return text.encode("ascii")


def from_yaml(data: bytes) -> Any:
    """Read what `to_yaml` wrote; None when it is something else."""
    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe ones)
    except (yaml.YAMLError, ValueError):
        return None


def _part(text: str) -> str:
    """One name of a path, at most `_PART_LIMIT` characters, never hidden, empty or reserved."""
    shown = quote(text, safe="", errors="surrogatepass").replace("~", "%7E")
    if shown[:1] in (".", "_", ""):
        shown = f"%{ord(shown[0]):02X}{shown[1:]}" if shown else "%"
    if len(shown) > _PART_LIMIT:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        shown = f"{shown[: _PART_LIMIT - 13]}~{digest}"
    return shown


def _plain(value: Any) -> Any:
    """Data made of what YAML's safe types can say."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(entry) for entry in items]
    if isinstance(value, datetime):
        return value.isoformat()
    # A lone surrogate cannot be encoded; nothing of the journal may fail because of one name.
    return str(value).encode("utf-8", "replace").decode("utf-8")
