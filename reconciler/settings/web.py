"""``web``: where HTTP is served, and who may wake the daemon through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.model.errors import SettingsError
from reconciler.settings.file import RawSettings
from reconciler.settings.values import steps, value_at


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """``secret_file`` has one secret a line. ``host`` empty means beside health and metrics."""

    secret_file: Path
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where health and metrics listen; ``host`` empty means nowhere. ``webhook`` None means that there is none."""

    host: str = "127.0.0.1"
    port: int = 9476
    webhook: WebhookSettings | None = None


def read_web(raw: RawSettings) -> WebSettings:
    """The section.

    Raises:
        SettingsError: values that contradict each other.
    """
    listen = value_at(raw, "web.listen")
    host, port = (WebSettings().host, WebSettings().port) if listen is None else _address(raw, "web.listen", listen)
    return WebSettings(host=host, port=port, webhook=_webhook(raw, has_web=bool(host)))


def _webhook(raw: RawSettings, *, has_web: bool) -> WebhookSettings | None:
    body = value_at(raw, "web.webhook")
    if not body:
        return None
    listen = body.get("listen")
    if listen is None and not has_web:
        raise SettingsError(
            f"{raw.place(['web', 'webhook'])}: web.listen is off, so web.webhook needs an address of its own: "
            "web.webhook.listen."
        )
    host, port = ("", 0) if listen is None else _address(raw, "web.webhook.listen", listen)
    return WebhookSettings(secret_file=Path(body["secretFile"]), host=host, port=port)


def _address(raw: RawSettings, path: str, listen: str) -> tuple[str, int]:
    """Host and port; an empty host for off."""
    if listen == "off":
        return "", 0
    host, _, port = listen.rpartition(":")
    if int(port) > 65535:
        raise SettingsError(f"{raw.place(steps(path))}: {path}: {port} is not a port; the largest is 65535.")
    return host.strip("[]"), int(port)


def web_as_file(web: WebSettings) -> dict[str, Any]:
    """The section as the file would say it."""
    body: dict[str, Any] = {"listen": _listen(web.host, web.port)}
    if web.webhook is not None:
        own = {"listen": _listen(web.webhook.host, web.webhook.port)} if web.webhook.host else {}
        body["webhook"] = {"secretFile": str(web.webhook.secret_file), **own}
    return body


def _listen(host: str, port: int) -> str:
    if not host:
        return "off"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
