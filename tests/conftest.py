"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the expected files of the golden tests anew; read the difference before committing it."""
    parser.addoption("--update-golden", action="store_true", default=False, help="write the golden files anew")
