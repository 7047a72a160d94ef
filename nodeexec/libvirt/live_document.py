"""Live objects as Kubernetes-like documents: `Engine.document_of`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.live import LiveObject


def document_of(live: LiveObject) -> Mapping[str, Any]:
    """A VirtualMachineInstance for a VM, a PersistentVolumeClaim or DataVolume for a volume, a
    NetworkAttachmentDefinition for a network; without secrets, and without anything that changes by itself (times).
    """
    raise NotImplementedError
