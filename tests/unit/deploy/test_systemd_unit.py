"""The unit is one that systemd understands, stays as hardened as documented, and agrees with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.daemon.service import DRAIN_S
from reconciler.model.errors import LockedError, RequirementError, SettingsError

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "gitvirt.service"
MOST_EXPOSED = 3.4


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text()
    assert "/usr/local/bin/gitvirt run" in text
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/usr/local/bin/gitvirt", "/bin/true"))
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def test_systemd_understands_every_line(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_as_hardened_as_documented(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={round(MOST_EXPOSED * 10)}", str(unit))
    level = re.search(r"Overall exposure level for gitvirt.service: ([0-9.]+)", done.stdout + done.stderr)
    assert level and float(level[1]) <= MOST_EXPOSED
    assert done.returncode == 0
    assert f"{MOST_EXPOSED} OK" in (ROOT / "docs" / "install.md").read_text()


def test_it_agrees_with_the_code() -> None:
    said = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert said["Type"] == "notify"
    assert float(said["TimeoutStopSec"]) > DRAIN_S
    useless = {2, SettingsError.exit_code, LockedError.exit_code, RequirementError.exit_code}
    assert {int(code) for code in said["RestartPreventExitStatus"].split()} == useless
