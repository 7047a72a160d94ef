"""Where KubeVirt's programs are not at hand, the suite says which, and what to set; it runs everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kubevirt import parts


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(parts.VARIABLE, raising=False)
    assert parts.missing().startswith(f"{parts.VARIABLE} names no directory with KubeVirt's virt-api")
    monkeypatch.setenv(parts.VARIABLE, str(tmp_path))
    (tmp_path / "virt-api").touch(mode=0o755)
    (tmp_path / "virt-controller").touch(mode=0o644)
    assert parts.missing() == f"virt-controller and virt-operator not found in {tmp_path} ({parts.VARIABLE})"
    for name in parts.PROGRAMS:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert parts.missing() == f"kube-controller-manager not found in {tmp_path} (KUBEBUILDER_ASSETS)"
