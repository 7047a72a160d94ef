"""Guest-side data as files on an ISO: cloud-init (NoCloud, ConfigDrive), ConfigMap and Secret volumes.

Source: cloud-init's NoCloud and ConfigDrive datasource documentation; KubeVirt's API for the field names.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import Seed
from reconciler.model.secret import Secret
from reconciler.planning.redact import Digest

SEED_VOLUME_TYPES = ("cloudInitNoCloud", "cloudInitConfigDrive", "configMap", "secret")


class MissingReferenceError(Exception):
    """A manifest names an object that is not there or not valid; ``key`` is that object."""

    def __init__(self, key: ObjectKey, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestIdentity:
    """What the meta-data tells the guest. ``public_keys`` are of accessCredentials."""

    instance_id: str
    hostname: str
    public_keys: tuple[str, ...] = ()


def seed_of(
    volume: Mapping[str, Any],
    namespace: str,
    guest: GuestIdentity,
    documents: Mapping[ObjectKey, Document],
    digest: Digest,
) -> Seed:
    """The ISO behind one volume of a VM.

    Raises:
        MissingReferenceError: a Secret or ConfigMap it names is not there.
    """
    match next(kind for kind in SEED_VOLUME_TYPES if kind in volume):
        case "cloudInitNoCloud":
            label, files = "cidata", _nocloud(volume["cloudInitNoCloud"] or {}, namespace, guest, documents)
        case "cloudInitConfigDrive":
            label, files = "config-2", _config_drive(volume["cloudInitConfigDrive"] or {}, namespace, guest, documents)
        case "configMap":
            source = volume["configMap"] or {}
            key = ObjectKey("ConfigMap", namespace, source.get("name", ""))
            label, files = source.get("volumeLabel") or "cfgdata", dict(object_files(key, documents))
        case _:
            source = volume["secret"] or {}
            key = ObjectKey("Secret", namespace, source.get("secretName", ""))
            label, files = source.get("volumeLabel") or "cfgdata", dict(object_files(key, documents))
    whole = b"\0".join(path.encode() + b"\0" + content for path, content in sorted(files.items()))
    return Seed(
        volume=volume["name"],
        label=label,
        digest=digest(label.encode() + b"\0" + whole),
        files={path: Secret(content) for path, content in files.items()},
    )


def object_files(key: ObjectKey, documents: Mapping[ObjectKey, Document]) -> Mapping[str, bytes]:
    """The entries of a Secret or ConfigMap, by name.

    Raises:
        MissingReferenceError: it is not there.
    """
    document = documents.get(key)
    if document is None:
        raise MissingReferenceError(key, f"{key} is not in the repository or not valid")
    plain = "stringData" if key.kind == "Secret" else "data"
    encoded = "data" if key.kind == "Secret" else "binaryData"
    entries = {name: base64.b64decode(value) for name, value in (document.body.get(encoded) or {}).items()}
    return entries | {name: str(value).encode() for name, value in (document.body.get(plain) or {}).items()}


def _nocloud(
    source: Mapping[str, Any], namespace: str, guest: GuestIdentity, documents: Mapping[ObjectKey, Document]
) -> dict[str, bytes]:
    meta: dict[str, Any] = {"instance-id": guest.instance_id, "local-hostname": guest.hostname}
    if guest.public_keys:
        meta["public-keys"] = list(guest.public_keys)
    files = {
        "meta-data": _yaml_subset(meta),
        "user-data": _part(source, "userData", "secretRef", ("userdata", "userData"), namespace, documents) or b"",
    }
    network = _part(source, "networkData", "networkDataSecretRef", ("networkdata", "networkData"), namespace, documents)
    if network:
        files["network-config"] = network
    return files


def _config_drive(
    source: Mapping[str, Any], namespace: str, guest: GuestIdentity, documents: Mapping[ObjectKey, Document]
) -> dict[str, bytes]:
    meta: dict[str, Any] = {"uuid": guest.instance_id, "instance_id": guest.instance_id, "hostname": guest.hostname}
    if guest.public_keys:
        meta["public_keys"] = {str(index): key for index, key in enumerate(guest.public_keys)}
    base = "openstack/latest"
    files = {f"{base}/meta_data.json": json.dumps(meta, sort_keys=True).encode()}
    user = _part(source, "userData", "secretRef", ("userdata", "userData"), namespace, documents)
    if user:
        files[f"{base}/user_data"] = user
    network = _part(source, "networkData", "networkDataSecretRef", ("networkdata", "networkData"), namespace, documents)
    if network:
        files[f"{base}/network_data.json"] = network
    return files


def _part(
    source: Mapping[str, Any],
    inline: str,
    reference: str,
    entry_names: tuple[str, ...],
    namespace: str,
    documents: Mapping[ObjectKey, Document],
) -> bytes | None:
    """One part of cloud-init data, from where the manifest has it: inline, base64 or a Secret."""
    if source.get(inline) is not None:
        return str(source[inline]).encode()
    if source.get(f"{inline}Base64") is not None:
        try:
            return base64.b64decode(source[f"{inline}Base64"])
        except binascii.Error:
            return b""
    name = (source.get(reference) or {}).get("name")
    if not name:
        return None
    key = ObjectKey("Secret", namespace, name)
    entries = object_files(key, documents)
    for entry in entry_names:
        if entry in entries:
            return entries[entry]
    raise MissingReferenceError(key, f"{key} has no entry {entry_names[0]!r}")


def _yaml_subset(meta: Mapping[str, Any]) -> bytes:
    """Meta-data as YAML that any reader takes: JSON strings are YAML strings."""
    lines = []
    for name, value in meta.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  - {json.dumps(item)}" for item in value)]
        else:
            lines.append(f"{name}: {json.dumps(value)}")
    return ("\n".join(lines) + "\n").encode()
