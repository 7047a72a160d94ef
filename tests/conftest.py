"""What the whole suite shares."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import structlog


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the expected files of the golden tests anew; read the difference before committing it."""
    parser.addoption("--update-golden", action="store_true", default=False, help="write the golden files anew")


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Commands set logging up for their process; here it would outlive them and write to a stream that is gone."""
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
