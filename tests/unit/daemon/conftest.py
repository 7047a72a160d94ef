"""What tests of the daemon share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.daemon.benches import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.ask("reconcile")
    return made
