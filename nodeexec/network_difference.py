"""A network: what it is, and whether it is up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from nodeexec.recorded import recorded_only
from reconciler.model.keys import POD_NETWORK
from reconciler.model.live import LiveNetwork
from reconciler.model.plan import Difference, Impact
from reconciler.model.resolved import NetworkSpec, ResolvedNetwork

_CNI_NAMES = {
    "bridge": "bridge",
    "host_bridge": "bridge",
    "address": "ipam.subnet",
    "dhcp_range": "ipam.ranges",
    "nat": "ipMasq",
    "mtu": "mtu",
    "domain": "dns.domain",
    "master": "master",
    "mode": "mode",
}
_SETTING_NAMES = {"dhcp_range": "dhcpRange", "host_bridge": "hostBridge"}


def network_differences(wanted: ResolvedNetwork, live: LiveNetwork) -> tuple[Difference, ...]:
    """All differences of a network, unsorted. With guests plugged in a change takes the network from under them: they
    lose their link until they are plugged in again.
    """
    found = [*_fields(wanted, live), *_state(live)]
    config = "spec.config"
    explained = [config] if any(difference.path.startswith(config) for difference in found) else []
    before = live.marks.applied if live.marks is not None else None
    return (*found, *recorded_only(before, wanted.applied, explained))


def _fields(wanted: ResolvedNetwork, live: LiveNetwork) -> Iterator[Difference]:
    impact, reason = Impact.LIVE, "nothing is plugged into the network; it is made anew"
    if live.used_by:
        impact = Impact.REPLACE
        reason = f"the network is made anew under {len(live.used_by)} VMs, which are plugged in again"
    if not live.active:
        impact, reason = Impact.NONE, "the network is down; it comes up as declared"
    if live.network is None:
        yield Difference(
            path=_path(wanted, ""), before=None, after=_shown(wanted.network), impact=impact, reason=reason
        )
        return
    seen: set[str] = set()
    of_host = {"bridge", "host_bridge"} if wanted.network.host_bridge and live.network.host_bridge else None
    for field in fields(NetworkSpec):
        if of_host is not None and field.name not in of_host:
            continue
        before, after = getattr(live.network, field.name), getattr(wanted.network, field.name)
        path = _path(wanted, field.name)
        if before != after and path not in seen:
            seen.add(path)
            yield Difference(path=path, before=_plain(before), after=_plain(after), impact=impact, reason=reason)


def _state(live: LiveNetwork) -> Iterator[Difference]:
    if not live.active:
        reason = "the network was stopped; it is started again"
        yield Difference(
            path="status.active", before=False, after=True, impact=Impact.LIVE, reason=reason, stored=False
        )
    if not live.autostart:
        reason = "the network would not come up with the host"
        yield Difference(path="status.autostart", before=False, after=True, impact=Impact.NONE, reason=reason)


def _path(wanted: ResolvedNetwork, field: str) -> str:
    if wanted.key == POD_NETWORK:
        return f"settings.podNetwork.{_SETTING_NAMES.get(field, field)}".rstrip(".")
    return f"spec.config.{_CNI_NAMES.get(field, '')}".rstrip(".")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(spec: NetworkSpec) -> dict[str, Any]:
    return {field.name: _plain(getattr(spec, field.name)) for field in fields(spec) if getattr(spec, field.name)}
