"""``web``: where HTTP is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.errors import SettingsError
from reconciler.settings.file import RawSettings
from reconciler.settings.values import value_at


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where health and metrics listen; ``host`` empty means nowhere."""

    host: str = "127.0.0.1"
    port: int = 9476


def read_web(raw: RawSettings) -> WebSettings:
    """The section.

    Raises:
        SettingsError: values that contradict each other.
    """
    listen = value_at(raw, "web.listen")
    if listen is None:
        return WebSettings()
    if listen == "off":
        return WebSettings(host="", port=0)
    host, _, port = listen.rpartition(":")
    if int(port) > 65535:
        raise SettingsError(f"{raw.place(['web', 'listen'])}: web.listen: {port} is not a port; the largest is 65535.")
    return WebSettings(host=host.strip("[]"), port=int(port))


def web_as_file(web: WebSettings) -> dict[str, Any]:
    """The section as the file would say it."""
    if not web.host:
        return {"listen": "off"}
    return {"listen": f"[{web.host}]:{web.port}" if ":" in web.host else f"{web.host}:{web.port}"}
