"""``secrets``: what this host keeps secret outside of every repository, by file name only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.model.errors import SettingsError
from reconciler.settings.file import RawSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsSettings:
    """``directory`` holds NAMESPACE/NAME/KEY files, ``age_key_file`` age identities; None for none."""

    directory: Path | None = None
    age_key_file: Path | None = None


def read_secrets(raw: RawSettings, *, state_directory: Path) -> SecretsSettings:
    """The section.

    Raises:
        SettingsError: one lies in the state directory, which may be copied or lost.
    """
    body = raw.body.get("secrets") or {}
    for name in ("directory", "ageKeyFile"):
        if name in body and Path(body[name]).is_relative_to(state_directory):
            raise SettingsError(
                f"{raw.place(['secrets', name])}: secrets.{name} lies in stateDirectory {state_directory}; put it "
                "elsewhere, so that a copy of the state directory does not carry it."
            )
    return SecretsSettings(
        directory=Path(body["directory"]) if "directory" in body else None,
        age_key_file=Path(body["ageKeyFile"]) if "ageKeyFile" in body else None,
    )


def secrets_as_file(secrets: SecretsSettings) -> dict[str, Any]:
    """The section as the file would say it; empty where nothing is set."""
    said = {
        **({"directory": str(secrets.directory)} if secrets.directory else {}),
        **({"ageKeyFile": str(secrets.age_key_file)} if secrets.age_key_file else {}),
    }
    return {"secrets": said} if said else {}
