"""What HTTP serves, by the settings: health and metrics, and beside them or elsewhere the webhook."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from reconciler.daemon import events
from reconciler.daemon.wake import Wake
from reconciler.settings import Settings
from reconciler.web.health import Watched
from reconciler.web.metrics import Metrics
from reconciler.web.server import WebServer
from reconciler.web.webhook import Webhook

_log = structlog.get_logger("gitvirt.web")


def web_servers(
    settings: Settings, health: Watched, metrics: Metrics, wake: Callable[[Wake], None] | None
) -> tuple[WebServer, ...]:
    """The servers, not started; none where the settings turn all of it off. Without ``wake`` there is no webhook."""
    web, servers = settings.web, []
    webhook = _webhook(settings, wake) if wake else None
    is_apart = web.webhook is not None and bool(web.webhook.host)
    if web.host:
        beside = None if is_apart else webhook
        servers.append(WebServer(host=web.host, port=web.port, health=health, metrics=metrics, webhook=beside))
    if web.webhook is not None and webhook is not None and is_apart:
        servers.append(
            WebServer(host=web.webhook.host, port=web.webhook.port, webhook=webhook, setting="web.webhook.listen")
        )
    return tuple(servers)


def _webhook(settings: Settings, wake: Callable[[Wake], None]) -> Webhook | None:
    if settings.web.webhook is None:
        return None

    def wake_for(name: str) -> None:
        wake(Wake(sources=frozenset({name})) if name else Wake(fetch=True))

    def refused(reason: str, peer: str, count: int) -> None:
        _log.warning(events.WEBHOOK_REFUSED, reason=reason, peer=peer, count=count)

    return Webhook(
        secret_file=settings.web.webhook.secret_file,
        names=[source.name for source in settings.sources if source.name],
        wake=wake_for,
        refused=refused,
        monotonic=time.monotonic,
    )
