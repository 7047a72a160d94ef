"""One settings file becomes one frozen `Settings`."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.policy import Policy
from reconciler.settings.engine import EngineSettings, read_engine
from reconciler.settings.file import RawSettings, read_settings
from reconciler.settings.imports import ImportSettings, imports_as_file, read_imports
from reconciler.settings.journal import JournalSettings, journal_as_file, read_journal
from reconciler.settings.limits import LimitSettings, limits_as_file, read_limits
from reconciler.settings.places import is_session, user_places
from reconciler.settings.policy import policy_as_file, read_policy
from reconciler.settings.secrets import SecretsSettings, read_secrets, secrets_as_file
from reconciler.settings.source import SourceSettings, read_sources, sources_as_file
from reconciler.settings.values import read_interval_s
from reconciler.settings.web import WebSettings, read_web, web_as_file

DEFAULT_PATH = Path("/etc/gitvirt/settings.yaml")
PATH_VARIABLE = "GITVIRT_SETTINGS"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """``format`` auto is console on a terminal and json otherwise."""

    level: str = "info"
    format: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an administrator can say once for a host. ``origin`` is the file it came from, for messages."""

    sources: tuple[SourceSettings, ...] = (SourceSettings(),)
    engine: EngineSettings = EngineSettings()
    policy: Policy = Policy()
    state_directory: Path = Path("/var/lib/gitvirt")
    runtime_directory: Path = Path("/run/gitvirt")
    key_file: Path = Path("/etc/gitvirt/key")
    secrets: SecretsSettings = SecretsSettings()
    resync_interval_s: float = 600.0
    imports: ImportSettings = ImportSettings()
    limits: LimitSettings = LimitSettings()
    journal: JournalSettings = JournalSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    origin: str = "the built-in defaults"

    @property
    def control_socket(self) -> Path:
        """Where the daemon listens for this machine's operators."""
        return self.runtime_directory / "control.sock"

    def to_dict(self) -> dict[str, Any]:
        """The effective settings as the file would say them, without credentials."""
        return {
            **policy_as_file(self.policy),
            "stateDirectory": str(self.state_directory),
            "runtimeDirectory": str(self.runtime_directory),
            "keyFile": str(self.key_file),
            **sources_as_file(self.sources),
            "engine": {self.engine.name: dict(self.engine.options)},
            **secrets_as_file(self.secrets),
            **journal_as_file(self.journal),
            "resyncInterval": format_duration(self.resync_interval_s),
            "imports": imports_as_file(self.imports),
            "limits": limits_as_file(self.limits),
            "web": web_as_file(self.web),
            "log": {"level": self.log.level, "format": self.log.format},
        }


def load_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """The settings of ``path``, else of GITVIRT_SETTINGS, else of an ordinary user's own file, else of the default file when
    there is one, else defaults.

    Raises:
        SettingsError: unreadable or not valid.
    """
    named = path or (Path(value) if (value := os.environ.get(PATH_VARIABLE)) else None)
    if named is None:
        own = (user_places().settings,) if os.geteuid() else ()
        named = next((candidate for candidate in (*own, DEFAULT_PATH) if candidate.exists()), None)
    return build_settings(read_settings(named, overrides), hostname=socket.gethostname())


def build_settings(raw: RawSettings, *, hostname: str) -> Settings:
    """Settings from data that is valid by the schema; the rules that a schema cannot say are checked here.

    Raises:
        SettingsError: values that contradict each other.
    """
    body = raw.body
    own = user_places() if is_session(body) else None
    state = Path(body.get("stateDirectory", own.state if own else Settings().state_directory))
    key_file = Path(body.get("keyFile", own.key if own else Settings().key_file))
    runtime = Path(body.get("runtimeDirectory", own.runtime if own else Settings().runtime_directory))
    if key_file.is_relative_to(state):
        raise SettingsError(
            f"{raw.place(['keyFile'])}: keyFile {key_file} lies in stateDirectory {state}; put it elsewhere, "
            "so that a copy of the state directory does not carry it."
        )
    sources, policy = read_sources(raw), read_policy(raw, hostname)
    return Settings(
        sources=sources,
        engine=read_engine(body.get("engine") or {}),
        policy=policy,
        state_directory=state,
        runtime_directory=runtime,
        key_file=key_file,
        secrets=read_secrets(raw, state_directory=state),
        resync_interval_s=read_interval_s(raw, "resyncInterval", default=Settings().resync_interval_s),
        imports=read_imports(raw),
        limits=read_limits(raw),
        journal=read_journal(raw, policy, sources),
        web=read_web(raw),
        log=LogSettings(**(body.get("log") or {})),
        origin=raw.origin,
    )
