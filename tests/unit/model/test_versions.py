"""Which tag a range of versions means."""

from __future__ import annotations

import pytest

from reconciler.model.versions import highest_version, parse_range

TAGS = (
    "v1.1.9",
    "v1.2.0-rc.2",
    "v1.2.0",
    "1.10.0",
    "v1.9.0-beta",
    "v2.0.0-rc.1",
    "v2.0.0",
    "v3.1.0",
    "v1.99",
    "latest",
)


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        (">=1.2 <2", "1.10.0"),
        (">=1.2, <2", "1.10.0"),
        ("^1.1", "1.10.0"),
        ("~1.2", "v1.2.0"),
        ("1.x || 2.x", "v2.0.0"),
        ("*", "v3.1.0"),
        (">=2.0.0-rc.0 <2.0.0", "v2.0.0-rc.1"),
        (">1.2.0-rc.1 <1.2.0-rc.3", "v1.2.0-rc.2"),
        ("1.2.0 - 1.9", "v1.2.0"),
        ("=1.1.9", "v1.1.9"),
        ("4.x", ""),
    ],
)
def test_the_highest_in_the_range(wanted: str, tag: str) -> None:
    assert highest_version(TAGS, wanted) == tag


def test_equal_versions_have_an_order() -> None:
    for tags in (("1.0.0", "v1.0.0"), ("v1.0.0", "1.0.0")):
        assert highest_version(tags, "1.x") == "v1.0.0"


@pytest.mark.parametrize("text", ["latest", ">=", "1.2.3.4", "v1 to v2"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="write for instance"):
        parse_range(text)
