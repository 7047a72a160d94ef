"""Workers that the tests of the simulation share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.crew import Crew


@pytest.fixture(scope="package")
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew
