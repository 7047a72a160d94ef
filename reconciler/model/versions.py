"""Tags that are versions, and ranges of them as npm writes them: ``>=1.2 <2``, ``^1.4``, ``1.x || 3.x``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nodesemver


def parse_range(text: str) -> nodesemver.Range:
    """A range of versions. A comma between conditions is read as the space that it means.

    Raises:
        ValueError: it is not written as one; the message says how to write it.
    """
    import nodesemver  # noqa: PLC0415  (slow to import, and few follow versions)

    try:
        return nodesemver.make_range(" ".join(text.replace(",", " ").split()), loose=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is no range of versions; write for instance '>=1.2 <2', '^1.4' or '1.x'") from error


def highest_version(tags: Iterable[str], wanted: str) -> str:
    """The tag with the highest version in the range ``wanted``; empty when there is none.

    ``v1.2.3`` and ``1.2.3`` are versions, anything shorter is not. A pre-release counts only where the range names a
    pre-release of the same version. Of tags with equal versions the last by name wins.

    Raises:
        ValueError: see `parse_range`.
    """
    import nodesemver  # noqa: PLC0415  (as above)

    allowed = parse_range(wanted)
    found = [tag for tag in sorted(tags, reverse=True) if _is_in(tag, allowed)]
    return max(found, key=cmp_to_key(lambda one, other: nodesemver.compare(one, other, loose=False)), default="")


def _is_in(tag: str, allowed: nodesemver.Range) -> bool:
    import nodesemver  # noqa: PLC0415  (as above)

    try:
        return bool(allowed.test(nodesemver.make_semver(tag, loose=False)))
    except ValueError:
        return False
