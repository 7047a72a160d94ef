"""Manifest files and everything that is said about them: ``NAME.yaml`` → ``NAME.problems``.

With ``--update-golden`` the answers are written anew; read the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.manifests.load import load_blob
from tests.unit.manifests.samples import joined

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.yaml")))
def test_problems_of_a_file(name: str, request: pytest.FixtureRequest) -> None:
    file = HERE / f"{name}.yaml"
    found = joined([load_blob(file.read_bytes(), file.name)])
    lines = [
        *map(str, found.problems),
        *(f"valid: {key}" for key in sorted(found.documents)),
        *(f"invalid: {key}" for key in sorted(found.invalid)),
    ]
    lines += [f"contended: {one.code} {one.resource}: {', '.join(map(str, one.claimants))}" for one in found.contests]
    text = "\n".join(lines) + "\n"
    answer = file.with_suffix(".problems")
    if request.config.getoption("--update-golden", default=False):
        answer.write_text(text)
    assert text == answer.read_text()
