"""What HTTP serves, by the settings: health and metrics, and beside them or elsewhere the webhook."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from reconciler.daemon import events
from reconciler.daemon.wake import Wake
from reconciler.model.errors import EngineError
from reconciler.ports import Leadership
from reconciler.settings import Settings
from reconciler.web.health import Watched
from reconciler.web.metrics import Metrics
from reconciler.web.server import WebServer
from reconciler.web.webhook import Webhook

_log = structlog.get_logger("gitvirt.web")


def web_servers(
    settings: Settings, health: Watched, metrics: Metrics, look: Callable[[str], bool]
) -> tuple[WebServer, ...]:
    """The servers, not started; none where the settings turn all of it off. ``look`` is what a webhook is for: it gets the name of
    a source, empty for all, and says whether anybody heard it.
    """
    web, servers = settings.web, []
    webhook = _webhook(settings, look)
    is_apart = web.webhook is not None and bool(web.webhook.host)
    if web.host:
        beside = None if is_apart else webhook
        servers.append(WebServer(host=web.host, port=web.port, health=health, metrics=metrics, webhook=beside))
    if web.webhook is not None and webhook is not None and is_apart:
        servers.append(
            WebServer(host=web.webhook.host, port=web.webhook.port, webhook=webhook, setting="web.webhook.listen")
        )
    return tuple(servers)


def _webhook(settings: Settings, look: Callable[[str], bool]) -> Webhook | None:
    if settings.web.webhook is None:
        return None

    def refused(reason: str, peer: str, count: int) -> None:
        _log.warning(events.WEBHOOK_REFUSED, reason=reason, peer=peer, count=count)

    return Webhook(
        secret_file=settings.web.webhook.secret_file,
        names=[source.name for source in settings.sources if source.name],
        wake=look,
        refused=refused,
        monotonic=time.monotonic,
    )


def waking(wake: Callable[[Wake], None]) -> Callable[[str], bool]:
    """``look`` of a daemon that leads."""

    def look(name: str) -> bool:
        wake(Wake(sources=frozenset({name})) if name else Wake(fetch=True))
        return True

    return look


def passing_on(leadership: Leadership) -> Callable[[str], bool]:
    """``look`` of one that stands by: whoever leads is asked to look at everything."""

    def look(name: str) -> bool:
        try:
            leadership.pass_on()
        except EngineError as fault:
            _log.warning(events.WEBHOOK_UNHEARD, reason=str(fault), source=name)
            return False
        _log.info(events.WEBHOOK_PASSED_ON, leader=leadership.leader, source=name)
        return True

    return look
