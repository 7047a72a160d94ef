"""A journal in a directory of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.journal.git_journal import GitJournal
from tests.unit.journal.building import FixedClock


@pytest.fixture
def make_journal(tmp_path: Path) -> Callable[[], GitJournal]:
    return lambda: GitJournal(state_directory=tmp_path / "state", clock=FixedClock())


@pytest.fixture
def journal(make_journal: Callable[[], GitJournal]) -> GitJournal:
    return make_journal()
