"""What doctor says of the keys and secrets that decide who may change this host."""

from __future__ import annotations

from pathlib import Path

from reconciler.daemon.doctor import Check, State
from reconciler.wiring import examine_machine
from tests.unit.daemon.homes import make_home, vm_text


def found(directory: Path) -> dict[str, Check]:
    home = make_home(
        directory,
        {"web.yaml": vm_text("web")},
        source={
            "url": str(directory / "repo"),
            "verify": {"mode": "all", "sshAllowedSigners": str(directory / "signers")},
        },
        web={"webhook": {"secretFile": str(directory / "secrets")}},
    )
    return {check.name: check for check in examine_machine(home.settings)}


def test_what_is_missing(tmp_path: Path) -> None:
    checks = found(tmp_path)
    assert checks["signatures"].state is State.FAILED
    assert "No such file" in checks["signatures"].remedy
    assert (checks["webhook"].state, checks["webhook"].found) == (State.FAILED, "every request is refused")


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "signers").write_text("ada@example.org ssh-ed25519 AAAA\n")
    (tmp_path / "signers").chmod(0o644)
    (tmp_path / "secrets").write_text("one secret that is long\nand another that is\n")
    (tmp_path / "secrets").chmod(0o644)
    checks = found(tmp_path)
    assert checks["signatures"].state is State.OK
    assert checks["webhook"].state is State.WARNING
    assert checks["webhook"].remedy == f"chmod 600 {tmp_path / 'secrets'}"
    assert "long" not in checks["webhook"].found


def test_keys_that_others_may_write(tmp_path: Path) -> None:
    (tmp_path / "signers").write_text("ada@example.org ssh-ed25519 AAAA\n")
    (tmp_path / "signers").chmod(0o664)
    check = found(tmp_path)["signatures"]
    assert check.state is State.WARNING
    assert f"chmod go-w {tmp_path / 'signers'}" in check.remedy
