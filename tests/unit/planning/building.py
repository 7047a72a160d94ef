"""Documents from YAML text and live objects from resolved ones, for tests of planning."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import yaml

from reconciler.model.declared import Declared, Reading
from reconciler.model.document import Document
from reconciler.model.keys import CLUSTER_SCOPED_KINDS, ObjectKey
from reconciler.model.live import HostFacts, LiveObject, Observation
from reconciler.model.policy import Mode, Policy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = Policy(host="host-a", host_labels={"kubernetes.io/hostname": "host-a"}, mode=Mode.ENFORCE)


def digest(data: bytes) -> str:
    return hashlib.sha256(b"key" + data).hexdigest()[:12]


def documents(text: str, origin: str = "") -> dict[ObjectKey, Document]:
    found = {}
    for body in filter(None, yaml.safe_load_all(text)):
        metadata = body["metadata"]
        namespace = "" if body["kind"] in CLUSTER_SCOPED_KINDS else metadata.get("namespace", "default")
        key = ObjectKey(body["kind"], namespace, metadata["name"])
        found[key] = Document(
            key=key,
            api_version=body["apiVersion"],
            body=body,
            digest=digest(repr(body).encode()),
            file="test.yaml",
            origin=origin,
        )
    return found


def declared(text: str, *, origin: str = "", complete: bool = True, **more: Any) -> Declared:
    readings = {origin: Reading(revision="r1", complete=complete)}
    return Declared(readings=readings, documents=documents(text, origin), **more)


def observed(*objects: LiveObject, **more: Any) -> Observation:
    host = HostFacts(hostname="host-a", labels=POLICY.host_labels)
    return Observation(taken_at=NOW, host=host, objects={live.key: live for live in objects}, **more)


def vm(name: str, *, strategy: str = "Always", extra: str = "", annotations: str = "{}", networks: str = "[]") -> str:
    return f"""
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, annotations: {annotations}}}
spec:
  runStrategy: {strategy}
  template:
    spec:
      {extra or "terminationGracePeriodSeconds: 30"}
      domain:
        memory: {{guest: 128Mi}}
        devices:
          disks: [{{name: root, disk: {{bus: virtio}}}}]
      volumes: [{{name: root, persistentVolumeClaim: {{claimName: {name}-root}}}}]
---
"""


def claim(name: str, size: str = "1Gi", extra: str = "") -> str:
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}{extra}}}
---
"""
