"""``imports``: where disk images may come from, and how much one may cost."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.quantity import GIB
from reconciler.settings.file import RawSettings
from reconciler.settings.sizes import format_size, read_size
from reconciler.settings.values import read_interval_s, value_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """Addresses are networks such as ``127.0.0.0/8``. What is allowed outranks what is denied, which comes on top of what
    is never asked for. Sizes in bytes; an engine explains what each bounds.
    """

    allowed_addresses: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    denied_addresses: tuple[str, ...] = ()
    max_download_bytes: int = 256 * GIB
    max_size_bytes: int = 1024 * GIB
    timeout_s: float = 24 * 3600.0
    stall_timeout_s: float = 60.0
    min_rate_bytes_s: int = 4096
    at_once: int = 4
    at_once_a_host: int = 2


def read_imports(raw: RawSettings) -> ImportSettings:
    """The section.

    Raises:
        SettingsError: an address or a size is none.
    """
    default = ImportSettings()
    body = raw.body.get("imports") or {}
    return ImportSettings(
        allowed_addresses=_networks(raw, "allowedAddresses"),
        allowed_hosts=tuple(body.get("allowedHosts") or ()),
        denied_addresses=_networks(raw, "deniedAddresses"),
        max_download_bytes=read_size(raw, "imports.maxDownload", default=default.max_download_bytes),
        max_size_bytes=read_size(raw, "imports.maxSize", default=default.max_size_bytes),
        timeout_s=read_interval_s(raw, "imports.timeout", default=default.timeout_s),
        stall_timeout_s=read_interval_s(raw, "imports.stallTimeout", default=default.stall_timeout_s),
        min_rate_bytes_s=read_size(raw, "imports.minRate", default=default.min_rate_bytes_s),
        at_once=body.get("atOnce", default.at_once),
        at_once_a_host=body.get("atOncePerHost", default.at_once_a_host),
    )


def imports_as_file(imports: ImportSettings) -> dict[str, Any]:
    """The section as the file would say it."""
    return {
        "allowedAddresses": list(imports.allowed_addresses),
        "allowedHosts": list(imports.allowed_hosts),
        "deniedAddresses": list(imports.denied_addresses),
        "maxDownload": format_size(imports.max_download_bytes),
        "maxSize": format_size(imports.max_size_bytes),
        "timeout": format_duration(imports.timeout_s),
        "stallTimeout": format_duration(imports.stall_timeout_s),
        "minRate": format_size(imports.min_rate_bytes_s),
        "atOnce": imports.at_once,
        "atOncePerHost": imports.at_once_a_host,
    }


def _networks(raw: RawSettings, name: str) -> tuple[str, ...]:
    networks = []
    for index, text in enumerate(value_at(raw, f"imports.{name}") or ()):
        try:
            networks.append(str(ip_network(text)))
        except ValueError as error:
            place = raw.place(["imports", name, index])
            raise SettingsError(
                f"{place}: imports.{name}: {error}; write a network such as 127.0.0.0/8, or one address."
            ) from error
    return tuple(networks)
