"""Where an ordinary user's gitvirt keeps its things."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.settings import load_settings, user_places

SESSION = ["engine.libvirt.uri=qemu:///session"]


def test_all_places_lie_below_the_home_directory() -> None:
    places = user_places({"HOME": "/home/ada"})
    assert places.key == Path("/home/ada/.config/gitvirt/key")
    assert places.images == Path("/home/ada/.local/share/gitvirt/images")
    assert places.runtime == Path("/home/ada/.cache/gitvirt")
    assert not places.key.is_relative_to(places.state)


def test_xdg_says_otherwise_when_it_is_absolute() -> None:
    said = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "relative"}
    places = user_places(said)
    assert places.runtime == Path("/run/user/7/gitvirt")
    assert places.state == Path("/home/ada/.local/state/gitvirt/state")


def test_a_session_has_the_users_places_and_its_own_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "GITVIRT_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(None, SESSION)
    assert settings.policy.user_network
    assert settings.state_directory == tmp_path / ".local/state/gitvirt/state"
    assert settings.key_file == tmp_path / ".config/gitvirt/key"
    named = load_settings(None, [*SESSION, "keyFile=/elsewhere/key"])
    assert named.key_file == Path("/elsewhere/key")
    assert not load_settings(None, []).policy.user_network
