"""Documents leaf by leaf: what changed in a manifest since it was last applied and shows in no field of a spec."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.model.plan import Difference, Impact

RECORDED_ONLY = "recorded only: nothing on the host depends on it"


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every leaf; items of a list by their ``name`` where they have one, else by index. An empty mapping
    or list is a leaf.
    """
    if isinstance(document, Mapping) and document:
        for name, value in document.items():
            yield from leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(document, list | tuple) and document:
        for index, value in enumerate(document):
            named = value.get("name") if isinstance(value, Mapping) else None
            yield from leaves(value, f"{path}[{named if named is not None else index}]")
    else:
        yield path, document


def recorded_only(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], explained: Collection[str]
) -> tuple[Difference, ...]:
    """Leaves that differ between two applied documents and lie under none of the ``explained`` paths. ``before`` None
    (unknown) gives none.
    """
    if before is None or before == after:
        return ()
    old, new = dict(leaves(before)), dict(leaves(after))
    changed = [path for path in sorted({*old, *new}) if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return tuple(
        Difference(path=path, before=old.get(path), after=new.get(path), impact=Impact.NONE, reason=RECORDED_ONLY,
                   running=False)
        for path in changed
        if not any(is_under(path, above) for above in explained) and not _is_shell(path, old, new)
    )  # fmt: skip


_ABSENT = object()


def _is_shell(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an empty mapping or list on one side only makes room for what the other side holds below it."""
    other = old if path in new else new
    return path not in other and any(is_under(below, path) for below in other)


def is_under(path: str, above: str) -> bool:
    """Whether ``path`` is ``above`` or lies below it."""
    return path.startswith(above) and (len(path) == len(above) or path[len(above)] in ".[")
