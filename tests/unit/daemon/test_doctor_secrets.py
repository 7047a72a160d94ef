"""What doctor says of the host's secrets: enough to mend them, nothing of what they are."""

from __future__ import annotations

from pathlib import Path

from reconciler.daemon.doctor import Check, State, examine
from reconciler.model.errors import RequirementError
from reconciler.settings import load_settings


def checks(tmp_path: Path) -> dict[str, list[Check]]:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f"secrets: {{directory: {tmp_path}/secrets, ageKeyFile: {tmp_path}/age}}\n"
        f"storageClasses: {{vault: {{pool: p, encryption: {{passphraseFile: {tmp_path}/luks}}}}}}\n"
    )

    def no_engine() -> None:
        raise RequirementError("none here")

    found: dict[str, list[Check]] = {}
    for check in examine(
        load_settings(settings),
        open_engine=no_engine,
        why_slow=lambda _: "",
        why_not_led=lambda: "",
        programs=(),
    ):
        found.setdefault(check.name, []).append(check)
    return found


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_what_is_there_is_counted_and_what_is_open_named(tmp_path: Path) -> None:
    write(tmp_path / "secrets/prod/good/key", "kanari")
    write(tmp_path / "secrets/prod/open/key", "kanari", 0o644)
    write(tmp_path / "age", f"AGE-SECRET-KEY-1{'Q' * 58}\n")
    write(tmp_path / "luks", "kanari kanari kanari\n")
    found = checks(tmp_path)
    assert [(one.state, one.remedy) for one in found["secrets"]] == [
        (State.FAILED, f"run: chmod 600 {tmp_path}/secrets/prod/open/key"),
        (State.OK, ""),
    ]
    assert found["age keys"][0].found.startswith("1 in ")
    assert found["class vault"][0].state is State.OK
    assert "kanari" not in str(found)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    found = checks(tmp_path)
    assert {one.state for one in found["secrets"]} == {State.FAILED}
    assert found["class vault"][0].state is State.FAILED
