"""One settings file → one frozen `Settings`; one file of this package a section.

YAML keys are camelCase as in manifests; the fields here are their snake_case. Durations are seconds. Engines define
their own options; here those are plain data under ``engine.NAME``, which the composition root hands on.
"""

from reconciler.model.durations import format_duration, parse_duration_s
from reconciler.settings.engine import EngineSettings
from reconciler.settings.imports import ImportSettings
from reconciler.settings.limits import LimitSettings
from reconciler.settings.load import DEFAULT_PATH, LogSettings, Settings, build_settings, load_settings
from reconciler.settings.places import UserPlaces, user_places
from reconciler.settings.secrets import SecretsSettings
from reconciler.settings.source import SourceSettings, redacted_url
from reconciler.settings.web import WebhookSettings, WebSettings

__all__ = [
    "DEFAULT_PATH",
    "EngineSettings",
    "ImportSettings",
    "LimitSettings",
    "LogSettings",
    "SecretsSettings",
    "Settings",
    "SourceSettings",
    "UserPlaces",
    "WebSettings",
    "WebhookSettings",
    "build_settings",
    "format_duration",
    "load_settings",
    "parse_duration_s",
    "redacted_url",
    "user_places",
]
