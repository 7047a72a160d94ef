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
from reconciler.model.persistent import PersistentMap
from reconciler.model.policy import Mode, Policy
from reconciler.model.sync_wave import Wave, wave_number

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
    found = documents(text, origin)
    numbers = {key: wave_number(document.body) for key, document in found.items()}
    waves = PersistentMap({key: Wave(origin, number) for key, number in numbers.items() if number})
    return Declared(readings=readings, documents=found, **{"waves": waves, **more})


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


def claim(name: str, size: str = "1Gi", extra: str = "", annotations: str = "") -> str:
    said = f", annotations: {annotations}" if annotations else ""
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}{said}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}{extra}}}
---
"""
