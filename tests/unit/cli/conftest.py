"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.daemon.homes import Home, make_home, vm_text


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITVIRT_SETTINGS", raising=False)
    monkeypatch.setattr("reconciler.settings.DEFAULT_PATH", tmp_path / "no-settings.yaml")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, {"web.yaml": vm_text("web")})
