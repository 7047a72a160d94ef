"""The ``imports`` section."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeexec.libvirt.settings import ImportLimits
from reconciler.model.errors import SettingsError
from reconciler.settings import Settings, load_settings


def _load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_settings(path)


def test_imports_and_the_engines_own_bounds_have_the_same_defaults() -> None:
    from reconciler.wiring_engines import libvirt_settings

    assert libvirt_settings(Settings()).imports == ImportLimits()


def test_addresses_and_sizes_of_imports(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "imports: {allowedAddresses: [127.0.0.1, 'fd00::/8'], allowedHosts: ['*.example.org'], maxSize: 1.5Gi, minRate: 1Ki}\n",
    )
    assert settings.imports.allowed_addresses == ("127.0.0.1/32", "fd00::/8")
    assert settings.imports.max_size_bytes == 3 << 29
    assert settings.to_dict()["imports"]["maxSize"] == "1536Mi"
    assert settings.to_dict()["imports"]["minRate"] == "1Ki"
    with pytest.raises(
        SettingsError, match=r"settings.yaml:2: imports.deniedAddresses: .*host bits set; write a network"
    ):
        _load(tmp_path, "imports:\n  deniedAddresses: [10.0.0.1/8]\n")
    with pytest.raises(SettingsError, match="at least 1"):
        _load(tmp_path, "imports: {minRate: '0'}")
