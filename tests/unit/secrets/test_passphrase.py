"""Passphrases of storage classes: what is taken, and that no refusal shows one."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import EngineError
from reconciler.model.policy import StorageClassPolicy
from reconciler.secrets.passphrase import read_passphrase


def write(tmp_path: Path, text: str, mode: int = 0o600) -> dict[str, StorageClassPolicy]:
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(mode)
    return {"vault": StorageClassPolicy(pool="p", passphrase_file=str(file)), "plain": StorageClassPolicy(pool="p")}


def test_a_line_break_at_the_end_does_not_count(tmp_path: Path) -> None:
    assert read_passphrase("vault", write(tmp_path, "kanari kanari kanari\n")).reveal == b"kanari kanari kanari"


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("kanari kanari kanari", 0o644, "chmod 600"),
        ("kanari\n", 0o600, "fewer than"),
        ("kanari " * 999, 0o600, "more than"),
    ],
)
def test_what_is_refused_is_not_shown(tmp_path: Path, text: str, mode: int, says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        read_passphrase("vault", write(tmp_path, text, mode))
    assert "kanari" not in str(caught.value)


def test_a_class_without_one_says_what_to_set(tmp_path: Path) -> None:
    for name in ("plain", "gone"):
        with pytest.raises(EngineError, match="passphraseFile"):
            read_passphrase(name, write(tmp_path, "x"))
