"""Schemas of Kubernetes' own kinds and types, as `schemas.generate` needs them."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}
TEXT_MAP = {"type": "object", "additionalProperties": TEXT}
TIME = {"type": ["string", "null"]}


def closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with these properties and no others."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


_OWNER_REFERENCE = closed(
    {
        "apiVersion": TEXT,
        "kind": TEXT,
        "name": TEXT,
        "uid": TEXT,
        "controller": FLAG,
        "blockOwnerDeletion": FLAG,
    },
    ("apiVersion", "kind", "name", "uid"),
)
_TOPOLOGY_TERM = closed(
    {"matchLabelExpressions": {"type": "array", "items": closed({"key": TEXT, "values": TEXTS}, ("key", "values"))}}
)

CORE_DEFINITIONS: dict[str, dict[str, Any]] = {
    "Quantity": {
        "description": "An amount: a number and a unit, such as 4Gi, 500m or 1.5G.",
        "type": ["string", "number"],
        "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
        # Of yaml-language-server's own; validators pass it over.
        "patternErrorMessage": "An amount is a number and a unit, such as 4Gi, 500m or 1.5G.",
    },
    "Time": TIME,
    "ObjectMeta": closed(
        {
            "name": {"description": "The object's name, fixed for its life.", "type": "string"},
            "namespace": {"description": "The namespace; `default` when left out.", "type": "string"},
            "labels": {"description": "Short facts to select objects by.", **TEXT_MAP},
            "annotations": {
                "description": "Notes for people and tools; gitvirt's own begin with gitvirt.io/.",
                **TEXT_MAP,
            },
            "generateName": {"description": "Not usable in Git: write name.", "type": "string"},
            "finalizers": TEXTS,
            "ownerReferences": {"type": "array", "items": {"$ref": "#/$defs/OwnerReference"}},
            "uid": TEXT,
            "resourceVersion": TEXT,
            "generation": {"type": "integer"},
            "creationTimestamp": TIME,
            "deletionTimestamp": TIME,
            "deletionGracePeriodSeconds": {"type": "integer"},
            "selfLink": TEXT,
            "managedFields": {"type": "array", "items": {"type": "object"}},
        }
    ),
    "OwnerReference": _OWNER_REFERENCE,
}

CORE_KINDS: tuple[tuple[str, str, dict[str, Any], list[str]], ...] = (
    (
        "Secret",
        "v1",
        {
            "type": {"description": "Opaque unless a tool asks for another type.", "type": "string"},
            "data": {"description": "Values in base64.", **TEXT_MAP},
            "stringData": {"description": "Values as plain text; they win over data.", **TEXT_MAP},
            "immutable": FLAG,
        },
        [],
    ),
    (
        "ConfigMap",
        "v1",
        {
            "data": {"description": "Values as plain text.", **TEXT_MAP},
            "binaryData": {"description": "Values in base64.", **TEXT_MAP},
            "immutable": FLAG,
        },
        [],
    ),
    ("Namespace", "v1", {"spec": closed({"finalizers": TEXTS})}, []),
    (
        "StorageClass",
        "storage.k8s.io/v1",
        {
            "provisioner": {"description": "Who makes volumes of this class on a cluster.", "type": "string"},
            "parameters": TEXT_MAP,
            "reclaimPolicy": {"type": "string", "enum": ["Delete", "Retain", "Recycle"]},
            "mountOptions": TEXTS,
            "allowVolumeExpansion": {"description": "Whether claims may grow.", "type": "boolean"},
            "volumeBindingMode": {"type": "string", "enum": ["Immediate", "WaitForFirstConsumer"]},
            "allowedTopologies": {"type": "array", "items": _TOPOLOGY_TERM},
        },
        ["provisioner"],
    ),
    (
        "NetworkAttachmentDefinition",
        "k8s.cni.cncf.io/v1",
        {"spec": closed({"config": {"description": "The CNI configuration, as JSON text.", "type": "string"}})},
        [],
    ),
)
"""Kind, apiVersion, properties beside metadata, and which of them are required."""
