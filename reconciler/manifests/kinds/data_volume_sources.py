"""Rules for the sources of a DataVolume, a kind each. *Source*: CDI's admission."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.manifests.kinds.findings import Findings
from reconciler.model.document import FieldPath

WEB_SCHEMES = ("http", "https")
REGISTRY_SCHEMES = ("docker", "oci-archive")
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}

_SCHEMES: Mapping[str, tuple[str, ...]] = {
    "http": WEB_SCHEMES,
    "s3": ("s3", *WEB_SCHEMES),
    "gcs": ("gs", *WEB_SCHEMES),
    "imageio": WEB_SCHEMES,
    "vddk": WEB_SCHEMES,
    "registry": REGISTRY_SCHEMES,
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "imageio": ("secretRef", "diskId"),
    "vddk": ("secretRef", "uuid", "backingFile", "thumbprint", "url"),
    "pvc": ("namespace", "name"),
    "snapshot": ("namespace", "name"),
}
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)


def check_source(findings: Findings, spec: Mapping[str, Any], path: FieldPath) -> None:
    """What the source of a DataVolume, whose spec stands at ``path``, has to say besides its kind."""
    source = spec.get("source", {})
    for kind, said in source.items():
        place = (*path, "source", kind)
        for field in _NEEDED.get(kind, ()):
            if not said.get(field):
                text = f"the {kind} source has no {field}"
                findings.add("datavolume-source-incomplete", (*place, field), text, f"add {field}")
        if said.get("url") is not None and kind in _SCHEMES:
            _check_url(findings, said["url"], (*place, "url"), _SCHEMES[kind])
    if "checksum" in source.get("http", {}):
        _check_checksum(findings, source["http"]["checksum"], (*path, "source", "http", "checksum"))
    if "imageio" in source and not (source["imageio"].get("certConfigMap") or _is_insecure(source["imageio"])):
        text = "an imageio source is read over TLS, and nothing says whom to trust"
        findings.add("datavolume-source-incomplete", (*path, "source", "imageio"), text, "add certConfigMap")
    if "registry" in source:
        _check_registry(findings, source["registry"], (*path, "source", "registry"))
    if spec.get("contentType") == "archive" and ("blank" in source or "registry" in source):
        text = f"a {'blank disk' if 'blank' in source else 'container image'} is not an archive"
        findings.add("datavolume-content", (*path, "contentType"), text, "remove contentType")
    reference = spec.get("sourceRef")
    if reference is not None and (reference["kind"] != "DataSource" or not reference["name"]):
        text = "sourceRef names a DataSource, and this does not"
        findings.add("datavolume-source-ref", (*path, "sourceRef"), text, "write kind: DataSource and its name")


def _is_insecure(source: Mapping[str, Any]) -> bool:
    return bool(source.get("insecureSkipVerify"))


def _check_registry(findings: Findings, registry: Mapping[str, Any], path: FieldPath) -> None:
    """An image by URL, or by an image stream that nodes pull."""
    given = [field for field in ("url", "imageStream") if registry.get(field)]
    if len(given) != 1:
        text = "url and imageStream are both set" if given else "the registry source names no image"
        findings.add("datavolume-source-incomplete", path, text, "keep url")
    elif given == ["imageStream"] and registry.get("pullMethod") != "node":
        text = "an image stream is pulled by nodes"
        findings.add("datavolume-source-incomplete", (*path, "imageStream"), text, "add pullMethod: node")


def _check_url(findings: Findings, url: str, path: FieldPath, schemes: tuple[str, ...]) -> None:
    # The URL itself stays out of messages: it may hold a password.
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) or (parts.scheme == "oci-archive" and bool(parts.path))
        whole = named and parts.scheme in schemes and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        text = "the url is not one of a web server" if schemes == WEB_SCHEMES else "the url does not fit its source"
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        findings.add("url-invalid", path, text, f"write {begins}, a host and a path")


def _check_checksum(findings: Findings, checksum: str, path: FieldPath) -> None:
    name, _, digits = checksum.partition(":")
    if DIGEST_LENGTHS.get(name) != len(digits) or not _HEX.fullmatch(digits):
        text = f"{checksum[:80]!r} is not a checksum"
        findings.add("checksum-invalid", path, text, "write sha256: and 64 hexadecimal digits")
