"""Rules for a DataVolume and for the templates of one in a VirtualMachine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.persistent_volume_claim import check_access_modes
from reconciler.model.document import FieldPath

WEB_SCHEMES = ("http", "https")
CLONE_SOURCES = ("pvc", "snapshot")
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}

_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)


def check_data_volume(findings: Findings) -> None:
    """All rules of one DataVolume."""
    check_data_volume_spec(findings, findings.document.spec, ("spec",))


def check_data_volume_spec(findings: Findings, spec: Mapping[str, Any], path: FieldPath) -> None:
    """Source and size of a DataVolume whose spec stands at ``path``."""
    source = spec.get("source", {})
    given = [*source, *(("sourceRef",) if "sourceRef" in spec else ())]
    if len(given) != 1:
        text = (
            f"the DataVolume has {len(given)} sources: {', '.join(given)}" if given else "the DataVolume has no source"
        )
        findings.add("datavolume-source", (*path, "source"), text, "keep exactly one, such as blank: {}")
    if "http" in source:
        _check_http(findings, source["http"], (*path, "source", "http"))
    places = [field for field in ("storage", "pvc") if field in spec]
    if len(places) != 1:
        text = "storage and pvc are both set" if places else "neither storage nor pvc says how large the disk is"
        findings.add("datavolume-storage", (*path, "pvc" if places else "storage"), text, "keep storage")
        return
    place = spec[places[0]]
    size = place.get("resources", {}).get("requests", {}).get("storage")
    size_path = (*path, places[0], "resources", "requests", "storage")
    takes_size = places[0] == "storage" and (given == ["sourceRef"] or any(name in CLONE_SOURCES for name in given))
    if size is None and not takes_size:
        findings.add("claim-no-size", size_path, "nothing says how large the disk is", "add resources.requests.storage")
    findings.amount(size_path, size)
    check_access_modes(findings, place, (*path, places[0]), required=places[0] == "pvc")


def _check_http(findings: Findings, source: Mapping[str, Any], path: FieldPath) -> None:
    # The URL itself stays out of messages: it may hold a password.
    try:
        parts = urlsplit(source["url"])
        whole = bool(parts.hostname) and parts.scheme in WEB_SCHEMES and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        hint = "write http:// or https://, a host and a path"
        findings.add("url-invalid", (*path, "url"), "the url is not one of a web server", hint)
    checksum = source.get("checksum")
    if checksum is not None:
        name, _, digits = checksum.partition(":")
        if DIGEST_LENGTHS.get(name) != len(digits) or not _HEX.fullmatch(digits):
            text = f"{checksum[:80]!r} is not a checksum"
            findings.add("checksum-invalid", (*path, "checksum"), text, "write sha256: and 64 hexadecimal digits")
