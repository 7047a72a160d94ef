"""Whether what the watches keep is what the cluster is now: for a person who asks, and who would take old news for new."""

from __future__ import annotations

import time
from datetime import timedelta

from nodeexec.kubevirt.caches import Caches
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.kinds import CLAIM, KINDS
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.live import Outdated
from reconciler.ports import Clock

ANSWER_S = 3.0
AGAIN_S = 0.5
"""A server that is begun anew, or another behind the same address, has its next chance then."""

CATCH_UP_S = 2.0
_ARRIVAL_S = 0.1
"""What was missed comes right after a watch was taken again."""

_SERVER_FAULT = 500


def outdated(client: ApiClient, caches: Caches, settings: KubevirtSettings, clock: Clock) -> Outdated | None:
    """Why what the caches hold is older than now. The server is asked for something small that it has to look up in its store: then a
    watch that only begins anew makes no noise, and a server that hangs is noticed long before its watches are.
    """
    reason = _asked(client, settings)
    behind = caches.behind()
    if reason:
        since_s = min((watch.fault_at for watch in behind), default=caches.heard_at())
        return _since(since_s, reason, clock)
    if not behind:
        return None
    for watch in behind:
        watch.hurry()
    until = clock.monotonic() + CATCH_UP_S
    while caches.behind() and clock.monotonic() < until:
        time.sleep(_ARRIVAL_S)
    time.sleep(_ARRIVAL_S)
    left = sorted(caches.behind(), key=lambda watch: watch.fault_at)
    return _since(left[0].fault_at, left[0].fault, clock) if left else None


def _asked(client: ApiClient, settings: KubevirtSettings) -> str:
    """What is wrong with the API server's answer, asked twice within a few seconds; empty when nothing is. A refusal is an answer."""
    kind = KINDS[CLAIM]
    path, request = kind.path(next(iter(settings.namespaces), "")), Request(verb="list", resource=kind.resource)
    until = time.monotonic() + ANSWER_S
    reason = ""
    for pause_s in (0.0, AGAIN_S):
        time.sleep(pause_s)
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        try:
            client.call("GET", path, request, query={"limit": "1"}, timeout_s=left_s)
        except UnreachableError as error:
            reason = f"the API server does not answer ({str(error).removeprefix(f'{request}: ')})"
        except ApiError as error:
            if error.status < _SERVER_FAULT:
                return ""
            reason = error.outcome.reason
        else:
            return ""
    return reason


def _since(at_s: float, reason: str, clock: Clock) -> Outdated:
    return Outdated(reason=reason, since=clock.now() - timedelta(seconds=clock.monotonic() - at_s))
