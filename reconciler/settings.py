"""One settings file becomes one frozen `Settings`.

YAML keys are camelCase as in manifests; the fields here are their snake_case. Durations are seconds. Engines define
their own options; here those are plain data under ``engine.NAME``, which the composition root hands on.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.errors import SettingsError
from reconciler.model.policy import BlastRadius, Mode, Policy, StorageClassPolicy
from reconciler.model.resolved import NetworkSpec
from reconciler.model.secret import REDACTED
from reconciler.settings_file import RawSettings, read_settings

DEFAULT_PATH = Path("/etc/gitvirt/settings.yaml")
PATH_VARIABLE = "GITVIRT_SETTINGS"

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_LONGEST_S = 3650 * 86400.0
_SHORTEST_INTERVAL_S = 1.0
_DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """The repository. ``url`` empty means that none is set: offline commands work, the daemon refuses to start."""

    url: str = ""
    ref: str = "refs/heads/main"
    path: str = ""
    interval_s: float = 30.0
    jitter_s: float = 3.0
    accept_rewrites: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engine, and its options as plain camelCase data."""

    name: str = "libvirt"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where health and metrics listen; ``host`` empty means nowhere."""

    host: str = "127.0.0.1"
    port: int = 9476


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """``format`` auto is console on a terminal and json otherwise."""

    level: str = "info"
    format: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an administrator can say once for a host. ``origin`` is the file it came from, for messages."""

    source: SourceSettings = SourceSettings()
    engine: EngineSettings = EngineSettings()
    policy: Policy = _DEFAULT_POLICY
    state_directory: Path = Path("/var/lib/gitvirt")
    runtime_directory: Path = Path("/run/gitvirt")
    key_file: Path = Path("/etc/gitvirt/key")
    resync_interval_s: float = 600.0
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    origin: str = "the built-in defaults"

    @property
    def control_socket(self) -> Path:
        """Where the daemon listens for this machine's operators."""
        return self.runtime_directory / "control.sock"

    def to_dict(self) -> dict[str, Any]:
        """The effective settings as the file would say them, without credentials."""
        return _as_file(self)


def load_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """The settings of ``path``, else of GITVIRT_SETTINGS, else of the default file when there is one, else defaults.

    Raises:
        SettingsError: unreadable or not valid.
    """
    named = path or (Path(value) if (value := os.environ.get(PATH_VARIABLE)) else None)
    if named is None and DEFAULT_PATH.exists():
        named = DEFAULT_PATH
    return build_settings(read_settings(named, overrides), hostname=socket.gethostname())


def build_settings(raw: RawSettings, *, hostname: str) -> Settings:
    """Settings from data that is valid by the schema; the rules that a schema cannot say are checked here.

    Raises:
        SettingsError: values that contradict each other.
    """
    body = raw.body
    state = Path(body.get("stateDirectory", Settings().state_directory))
    key_file = Path(body.get("keyFile", Settings().key_file))
    if key_file.is_relative_to(state):
        raise SettingsError(
            f"{raw.place(['keyFile'])}: keyFile {key_file} lies in stateDirectory {state}; put it elsewhere, "
            "so that a copy of the state directory does not carry it."
        )
    return Settings(
        source=_source(raw),
        engine=_engine(body.get("engine") or {}),
        policy=_policy(raw, hostname),
        state_directory=state,
        runtime_directory=Path(body.get("runtimeDirectory", Settings().runtime_directory)),
        key_file=key_file,
        resync_interval_s=_interval_s(raw, "resyncInterval", default=Settings().resync_interval_s),
        web=_web(raw),
        log=LogSettings(**(body.get("log") or {})),
        origin=raw.origin,
    )


def parse_duration_s(text: str) -> float:
    """``90s``, ``1h30m``, ``500ms`` or ``7d`` in seconds.

    Raises:
        ValueError: not a duration, or longer than ten years.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write for instance 30s, 5m, 1h30m or 7d")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration_s` reads back: 5400 → ``1h30m``."""
    rest_ms = round(seconds * 1000)
    text = ""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest_ms = divmod(rest_ms, size_ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _at(raw: RawSettings, dotted_path: str) -> Any:
    """The value at a path, None when it or a parent is absent."""
    value: Any = raw.body
    for part in dotted_path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _duration_s(raw: RawSettings, path: str, *, default: float) -> float:
    text = _at(raw, path)
    if text is None:
        return default
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise SettingsError(f"{raw.place(path.split('.'))}: {path}: {error}.") from error


def _interval_s(raw: RawSettings, path: str, *, default: float) -> float:
    seconds = _duration_s(raw, path, default=default)
    if seconds < _SHORTEST_INTERVAL_S:
        raise SettingsError(f"{raw.place(path.split('.'))}: {path} must be at least {_SHORTEST_INTERVAL_S:g}s.")
    return seconds


def _source(raw: RawSettings) -> SourceSettings:
    body = raw.body.get("source") or {}
    default = SourceSettings()
    if "branch" in body and "ref" in body:
        raise SettingsError(f"{raw.place(['source', 'ref'])}: source has both branch and ref; keep one of them.")
    url = body.get("url", "")
    if urlsplit(url).password is not None:
        raise SettingsError(
            f"{raw.place(['source', 'url'])}: source.url holds a password; take it out. Secrets are given by file name only."
        )
    interval_s = _interval_s(raw, "source.interval", default=default.interval_s)
    jitter_s = _duration_s(raw, "source.jitter", default=min(default.jitter_s, interval_s / 10))
    if jitter_s >= interval_s:
        raise SettingsError(f"{raw.place(['source', 'jitter'])}: source.jitter must be shorter than source.interval.")
    return SourceSettings(
        url=url,
        ref=body.get("ref") or f"refs/heads/{body.get('branch', 'main')}",
        path=body.get("path", "").strip("/"),
        interval_s=interval_s,
        jitter_s=jitter_s,
        accept_rewrites=body.get("acceptRewrites", False),
    )


def _source_identity(raw: RawSettings) -> str:
    """What is followed, whatever the URL: the ref, and the path where only a part of the repository is."""
    source = _source(raw)
    return f"{source.ref}:{source.path}" if source.path else source.ref


def _engine(body: Mapping[str, Any]) -> EngineSettings:
    for name, options in body.items():
        return EngineSettings(name=name, options=options or {})
    return EngineSettings()


def _web(raw: RawSettings) -> WebSettings:
    listen = _at(raw, "web.listen")
    if listen is None:
        return WebSettings()
    if listen == "off":
        return WebSettings(host="", port=0)
    host, _, port = listen.rpartition(":")
    if int(port) > 65535:
        raise SettingsError(f"{raw.place(['web', 'listen'])}: web.listen: {port} is not a port; the largest is 65535.")
    return WebSettings(host=host.strip("[]"), port=int(port))


def _policy(raw: RawSettings, hostname: str) -> Policy:
    body = raw.body
    host = body.get("hostName", hostname)
    blast = body.get("blastRadius") or {}
    mode = body.get("mode")
    default = _DEFAULT_POLICY
    return Policy(
        owner=body.get("owner", default.owner),
        identity_seed=body.get("identitySeed", default.identity_seed),
        host=host,
        host_labels={"kubernetes.io/hostname": host, **(body.get("hostLabels") or {})},
        default_namespace=body.get("defaultNamespace", default.default_namespace),
        mode=Mode(mode) if mode else None,
        namespace_modes={name: Mode(value) for name, value in (body.get("namespaceModes") or {}).items()},
        storage_classes={
            name: StorageClassPolicy(pool=entry["pool"], format=entry.get("format", ""))
            for name, entry in (body.get("storageClasses") or {}).items()
        },
        default_pool=body.get("defaultPool", default.default_pool),
        pod_network=_pod_network(raw),
        allowed_bridges=tuple(body.get("allowedBridges") or ()),
        default_machine=body.get("defaultMachine", default.default_machine),
        blast_radius=BlastRadius(
            few=blast.get("few", default.blast_radius.few),
            share=float(blast.get("share", default.blast_radius.share)),
            many=blast.get("many", default.blast_radius.many),
            window_s=_duration_s(raw, "blastRadius.window", default=default.blast_radius.window_s),
        ),
        source_identity=_source_identity(raw),
    )


def _pod_network(raw: RawSettings) -> NetworkSpec:
    body = raw.body.get("podNetwork") or {}
    default = _DEFAULT_POLICY.pod_network
    address = body.get("address", default.address)
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError as error:
        raise SettingsError(
            f"{raw.place(['podNetwork', 'address'])}: podNetwork.address {address}: {error}."
        ) from error
    network = interface.network
    if network.num_addresses < 8 or interface.ip in (network.network_address, network.broadcast_address):
        raise SettingsError(
            f"{raw.place(['podNetwork', 'address'])}: podNetwork.address {address} must be a host's address in a network of 8 or more."
        )
    first, last = body.get("dhcpRange") or _nearly_all(interface)
    try:
        low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    except ValueError as error:
        raise SettingsError(f"{raw.place(['podNetwork', 'dhcpRange'])}: podNetwork.dhcpRange: {error}.") from error
    inside = network.network_address < low <= high < network.broadcast_address
    if not inside or low <= interface.ip <= high:
        raise SettingsError(
            f"{raw.place(['podNetwork', 'dhcpRange'])}: podNetwork.dhcpRange {first} to {last} must lie in {network}, "
            f"in this order, and leave out the host's own {interface.ip}."
        )
    return NetworkSpec(
        bridge=body.get("bridge", default.bridge),
        address=address,
        dhcp_range=(str(low), str(high)),
        nat=True,
        mtu=body.get("mtu", default.mtu),
        domain=body.get("domain", default.domain),
    )


def _nearly_all(interface: ipaddress.IPv4Interface) -> tuple[str, str]:
    """The larger side of the network beside the host's own address, a few addresses kept free at its ends."""
    own, first, last = int(interface), int(interface.network[0]), int(interface.network[-1])
    spare = 10 if last - first >= 63 else 1
    if own - first < last - own:
        low, high = max(first + spare, own + 1), last - max(spare // 2, 1)
    else:
        low, high = first + max(spare // 2, 1), min(last - spare, own - 1)
    return str(ipaddress.IPv4Address(low)), str(ipaddress.IPv4Address(high))


def redacted_url(url: str) -> str:
    """The URL without user name and password."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{REDACTED}@{parts.netloc.rpartition('@')[2]}"))


def _as_file(settings: Settings) -> dict[str, Any]:
    source, policy, web = settings.source, settings.policy, settings.web
    network = policy.pod_network
    return {
        "owner": policy.owner,
        "stateDirectory": str(settings.state_directory),
        "runtimeDirectory": str(settings.runtime_directory),
        "keyFile": str(settings.key_file),
        "source": {
            **({"url": redacted_url(source.url)} if source.url else {}),
            "ref": source.ref,
            "path": source.path,
            "interval": format_duration(source.interval_s),
            "jitter": format_duration(source.jitter_s),
            "acceptRewrites": source.accept_rewrites,
        },
        "engine": {settings.engine.name: dict(settings.engine.options)},
        "storageClasses": {
            name: {"pool": entry.pool, **({"format": entry.format} if entry.format else {})}
            for name, entry in policy.storage_classes.items()
        },
        "defaultPool": policy.default_pool,
        "podNetwork": {
            "bridge": network.bridge,
            "address": network.address,
            "dhcpRange": list(network.dhcp_range),
            **({"mtu": network.mtu} if network.mtu else {}),
            "domain": network.domain,
        },
        "allowedBridges": list(policy.allowed_bridges),
        "hostName": policy.host,
        "hostLabels": dict(policy.host_labels),
        **({"mode": str(policy.mode)} if policy.mode else {}),
        "namespaceModes": {name: str(mode) for name, mode in policy.namespace_modes.items()},
        "defaultNamespace": policy.default_namespace,
        "defaultMachine": policy.default_machine,
        "identitySeed": policy.identity_seed,
        "blastRadius": {
            "few": policy.blast_radius.few,
            "share": policy.blast_radius.share,
            "many": policy.blast_radius.many,
            "window": format_duration(policy.blast_radius.window_s),
        },
        "resyncInterval": format_duration(settings.resync_interval_s),
        "web": {
            "listen": f"[{web.host}]:{web.port}" if ":" in web.host else f"{web.host}:{web.port}" if web.host else "off"
        },
        "log": {"level": settings.log.level, "format": settings.log.format},
    }
