"""The kinds that gitvirt reads, and how a document says which object it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from sys import intern
from typing import Any

from reconciler.model.keys import CLUSTER_SCOPED_KINDS, ObjectKey

KNOWN_KINDS: dict[str, str] = {
    "VirtualMachine": "kubevirt.io/v1",
    "PersistentVolumeClaim": "v1",
    "DataVolume": "cdi.kubevirt.io/v1beta1",
    "Secret": "v1",
    "ConfigMap": "v1",
    "Namespace": "v1",
    "StorageClass": "storage.k8s.io/v1",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io/v1",
}
"""Kind → apiVersion. Each has a schema of its lower-case name in ``schemas/`` and a file in ``kinds/``."""

_MISSPELT = 0.8
_MISSPELT_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a document says it is. ``missing`` names what it does not say; then ``key`` is None."""

    key: ObjectKey | None
    api_version: str = ""
    missing: tuple[str, ...] = ()


def identity_of(body: Any, default_namespace: str) -> Identity:
    """Read kind, apiVersion, namespace and name of a document, whatever else is wrong with it.

    A known kind in another apiVersion keeps its key, so that a slip in apiVersion never looks like a deletion.
    """
    if not isinstance(body, Mapping):
        return Identity(None, missing=("apiVersion", "kind", "metadata.name"))
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    kind, version, name = _text(body.get("kind")), _text(body.get("apiVersion")), _text(metadata.get("name"))
    namespace = default_namespace if metadata.get("namespace", "") == "" else _text(metadata["namespace"])
    found = {"apiVersion": version, "kind": kind, "metadata.name": name, "metadata.namespace": namespace}
    if missing := tuple(field for field, value in found.items() if not value):
        return Identity(None, version, missing)
    group = version.rpartition("/")[0]
    if kind in KNOWN_KINDS:
        kind, namespace = intern(kind), "" if kind in CLUSTER_SCOPED_KINDS else intern(namespace)
        return Identity(ObjectKey(kind, namespace, name), intern(version))
    kind = f"{kind}.{group}" if group else kind
    return Identity(ObjectKey(kind, "" if kind in CLUSTER_SCOPED_KINDS else namespace, name), version)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def kind_meant(kind: str) -> str:
    """The known kind of which ``kind`` is probably a misspelling; empty when it is another kind altogether.

    Slips hardly change the length, other kinds do: ``PersistentVolume`` and ``VirtualMachineInstance`` are no misspellings.
    """
    near = [known for known in KNOWN_KINDS if abs(len(known) - len(kind)) <= _MISSPELT_LENGTH]
    scored = [(SequenceMatcher(None, kind.casefold(), known.casefold()).ratio(), known) for known in near]
    ratio, known = max(scored, default=(0.0, ""))
    return known if ratio >= _MISSPELT else ""


def items_of_list(body: Any) -> list[Any] | None:
    """The items of a ``List`` (or ``VirtualMachineList`` and the like), None for any other document."""
    if not isinstance(body, Mapping) or not isinstance(body.get("kind"), str) or not body["kind"].endswith("List"):
        return None
    items = body.get("items")
    return items if isinstance(items, list) else None
