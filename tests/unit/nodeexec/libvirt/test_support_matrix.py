"""``docs/support.md`` is what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeexec.libvirt.support_matrix import support_matrix

PAGE = Path(__file__).parents[4] / "docs" / "support.md"


def test_the_page_is_current(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        PAGE.write_text(support_matrix())
    assert PAGE.read_text() == support_matrix(), "docs/support.md is out of date: run this test with --update-golden"
