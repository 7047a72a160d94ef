"""NetworkAttachmentDefinitions and all other kinds → live objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.marks import read_marks
from nodeexec.kubevirt.project_vm import fingerprint
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField, LiveNetwork, LiveResource, Served
from reconciler.model.resolved import NetworkSpec


def live_network(
    key: ObjectKey,
    document: Mapping[str, Any],
    users: tuple[ObjectKey, ...],
    *,
    host: str,
    settled: tuple[KeptField, ...] = (),
) -> LiveNetwork:
    """A network as planning looks at it: what it is on a node is not seen from here."""
    return LiveNetwork(
        key=key,
        fingerprint=fingerprint(document),
        marks=read_marks(document, key, host),
        network=NetworkSpec(),
        active=True,
        used_by=users,
        served=Served(document=document, settled=settled),
    )


def live_resource(
    key: ObjectKey,
    document: Mapping[str, Any],
    users: tuple[ObjectKey, ...] = (),
    *,
    host: str,
    settled: tuple[KeptField, ...] = (),
) -> LiveResource:
    """An object of another kind."""
    return LiveResource(
        key=key,
        fingerprint=fingerprint(document),
        marks=read_marks(document, key, host),
        reported=_reported(document),
        used_by=users,
        served=Served(document=document, settled=settled),
    )


def _reported(document: Mapping[str, Any]) -> str:
    """The phase of a snapshot, how many VMs of a pool are ready; nothing of what reports nothing that is understood."""
    status = document.get("status") or {}
    if "replicas" in status:
        return f"{status.get('readyReplicas', 0)}/{status['replicas']} ready"
    failed = (status.get("error") or {}).get("message")
    return f"{status.get('phase', '')}: {failed}" if failed else str(status.get("phase", ""))
