"""Writes the schemas of manifest kinds: ``python -m schemas.generate REFERENCE_DIRECTORY``.

Names, types and required fields of the KubeVirt and CDI kinds come from their API definitions in the directory
(``kubevirt-openapi.json`` and ``crds/``); kinds of Kubernetes itself are in `schemas.core_kinds`; descriptions are in
``field_notes.yaml`` and values that the servers check in code are in `ENUMS`. Nothing here runs with the product.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from schemas import bundle
from schemas.core_kinds import CORE_DEFINITIONS, CORE_KINDS

Schema = dict[str, Any]
HERE = Path(__file__).parent
INT_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "uint32": (0, 2**32 - 1)}
COPIED = ("type", "enum", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
FROM_CRD = ("enum", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
CRD_FILES = {
    "VirtualMachine": "kubevirt/virtualmachines.kubevirt.io.yaml",
    "DataVolume": "cdi/datavolumes.cdi.kubevirt.io.yaml",
}
OPEN_FIELDS = ("DataVolumeTemplateSpec.status",)

ENUMS: dict[str, tuple[str, ...]] = {
    "VirtualMachineSpec.runStrategy": ("Always", "RerunOnFailure", "Manual", "Halted", "Once", "WaitAsReceiver"),
    "VirtualMachineSpec.updateVolumesStrategy": ("Replacement", "Migration"),
    "VirtualMachineInstanceSpec.evictionStrategy": ("None", "LiveMigrate", "LiveMigrateIfPossible", "External"),
    "VirtualMachineInstanceSpec.startStrategy": ("Paused",),
    "DiskTarget.bus": ("virtio", "sata", "scsi", "usb"),
    "CDRomTarget.bus": ("virtio", "sata", "scsi"),
    "CDRomTarget.tray": ("open", "closed"),
    "LunTarget.bus": ("virtio", "sata", "scsi"),
    "Disk.cache": ("none", "writethrough", "writeback"),
    "Disk.io": ("native", "default", "threads"),
    "Disk.errorPolicy": ("stop", "ignore", "report", "enospace"),
    "DomainSpec.ioThreadsPolicy": ("shared", "auto", "supplementalPool"),
    "Interface.model": ("e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "virtio"),
    "Interface.state": ("absent", "down", "up", ""),
    "Input.bus": ("virtio", "usb"),
    "Input.type": ("tablet",),
    "I6300ESBWatchdog.action": ("poweroff", "reset", "shutdown"),
    "Diag288Watchdog.action": ("poweroff", "reset", "shutdown"),
    "HPETTimer.tickPolicy": ("delay", "catchup", "merge", "discard"),
    "PITTimer.tickPolicy": ("delay", "catchup", "discard"),
    "RTCTimer.tickPolicy": ("delay", "catchup"),
    "RTCTimer.track": ("guest", "wall"),
    "PanicDevice.model": ("isa", "hyperv", "pvpanic"),
    "InstancetypeMatcher.kind": (
        "VirtualMachineInstancetype",
        "VirtualMachineClusterInstancetype",
        "virtualmachineinstancetype",
        "virtualmachineclusterinstancetype",
    ),
    "PreferenceMatcher.kind": (
        "VirtualMachinePreference",
        "VirtualMachineClusterPreference",
        "virtualmachinepreference",
        "virtualmachineclusterpreference",
    ),
    "InstancetypeMatcher.inferFromVolumeFailurePolicy": (
        "RejectInferFromVolumeFailure",
        "IgnoreInferFromVolumeFailure",
    ),
    "PreferenceMatcher.inferFromVolumeFailurePolicy": ("RejectInferFromVolumeFailure", "IgnoreInferFromVolumeFailure"),
    "HostDisk.type": ("Disk", "DiskOrCreate"),
    "PortRange.protocol": ("TCP", "UDP"),
    "Port.protocol": ("TCP", "UDP"),
    "CdiDataVolumeSourceRegistry.pullMethod": ("pod", "node"),
}


def definition_name(full: str) -> str:
    """``v1.Disk`` → ``Disk``; CDI's and Kubernetes' own types get a prefix, so that no two meet."""
    short = full.rsplit(".", 1)[-1]
    if full.startswith("v1beta1."):
        return f"Cdi{short}"
    return f"Core{short}" if full.startswith("k8s.io.api.core.") else short


class Definitions:
    """Collects the ``$defs`` that one schema needs."""

    def __init__(self, openapi: dict[str, Schema], notes: dict[str, str]) -> None:
        self.openapi, self.notes = openapi, notes
        self.found: dict[str, Schema] = {}

    def reference(self, full: str) -> Schema:
        """A ``$ref`` to the definition, which is converted when it is new."""
        short = full.rsplit(".", 1)[-1]
        name = short if short in CORE_DEFINITIONS else definition_name(full)
        if short in CORE_DEFINITIONS:
            self.core(name)
        elif name not in self.found:
            self.found[name] = {}
            self.found[name] = self.convert(self.openapi[full], name)
        return {"$ref": f"#/$defs/{name}"}

    def core(self, name: str) -> None:
        """Take a definition of `CORE_DEFINITIONS`, and what it refers to."""
        if name not in self.found:
            self.found[name] = CORE_DEFINITIONS[name]
            for reference in references(CORE_DEFINITIONS[name]):
                self.core(reference.removeprefix("#/$defs/"))

    def convert(self, source: Schema, name: str) -> Schema:
        """An API definition as JSON Schema; objects are closed."""
        if "$ref" in source:
            return self.reference(source["$ref"].removeprefix("#/definitions/"))
        if source.get("format") == "int-or-string" or source.get("type") == ["string", "number"]:
            return {"type": ["integer", "string"]}
        schema: Schema = {key: source[key] for key in COPIED if key in source}
        if source.get("format") in INT_RANGES and source.get("type") == "integer":
            schema["minimum"], schema["maximum"] = INT_RANGES[source["format"]]
        if "items" in source:
            schema["items"] = self.convert(source["items"], name)
        if isinstance(source.get("additionalProperties"), dict):
            schema["additionalProperties"] = self.convert(source["additionalProperties"], name)
        elif source.get("type") == "object":
            schema["properties"] = {
                key: self.field(f"{name}.{key}", value) for key, value in sorted(source.get("properties", {}).items())
            }
            schema["additionalProperties"] = False
            if source.get("required"):
                schema["required"] = sorted(source["required"])
        return schema

    def field(self, path: str, source: Schema) -> Schema:
        """One property, with our note and with the values that a server checks in code."""
        schema = {} if path in OPEN_FIELDS else self.convert(source, path)
        if path in self.notes:
            schema = {"description": self.notes[path], **schema}
        if path in ENUMS:
            schema["enum"] = list(ENUMS[path])
        return schema

    def overlay(self, schema: Schema, crd: Schema) -> None:
        """Add what only the CustomResourceDefinition says: limits, enumerations, and fields newer than the OpenAPI file."""
        node, name = schema, ""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            node = self.found[name]
            if node in CORE_DEFINITIONS.values() or node.get("type") != "object":
                return
        for key in FROM_CRD:
            if key in crd and key not in node:
                node[key] = crd[key]
        if crd.get("format") in INT_RANGES and crd.get("type") == "integer":
            node["minimum"], node["maximum"] = INT_RANGES[crd["format"]]
        for key, inner in crd.get("properties", {}).items():
            properties = node.get("properties", {})
            if key not in properties:
                properties[key] = self.field(f"{name}.{key}", inner)
            self.overlay(properties[key], inner)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict) and isinstance(crd.get(key), dict):
                self.overlay(node[key], crd[key])


def references(schema: Any) -> list[str]:
    """All ``$ref`` in a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [found for value in schema.values() for found in references(value)]


def whole(
    kind: str, api_version: str, spec: dict[str, Schema], required: list[str], definitions: Definitions
) -> Schema:
    """The schema of one kind. ``spec`` are its properties beside apiVersion, kind, metadata and status."""
    definitions.core("ObjectMeta")
    return {
        "$schema": bundle.DRAFT,
        "$id": f"{bundle.BASE_URL}{kind.lower()}.json",
        "title": f"{kind} ({api_version})",
        "description": definitions.notes[kind],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", *required],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": api_version},
            "kind": {"const": kind},
            "metadata": {"$ref": "#/$defs/ObjectMeta"},
            **spec,
            "status": {"description": "Written by a server; read by nobody here."},
        },
        "$defs": dict(sorted(definitions.found.items())),
    }


def crd_spec(path: Path, version: str) -> Schema:
    """The schema of ``spec`` in a CustomResourceDefinition.

    Raises:
        StopIteration: it has no such version.
    """
    versions = yaml.safe_load(path.read_text())["spec"]["versions"]
    found = next(entry for entry in versions if entry["name"] == version)
    spec: Schema = found["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def custom_kind(kind: str, version: str, spec: str, crds: Path, definitions: Definitions) -> Schema:
    """The schema of a kind that the API definitions hold. ``spec`` is the definition of its spec."""
    reference = definitions.reference(spec)
    definitions.overlay(reference, crd_spec(crds / CRD_FILES[kind], version.rsplit("/", 1)[-1]))
    if "CdiDataVolumeSpec" in definitions.found:
        # KubeVirt's own copy of the DataVolume types is older than CDI's, which knows checksums.
        definitions.overlay({"$ref": "#/$defs/CdiDataVolumeSpec"}, crd_spec(crds / CRD_FILES["DataVolume"], "v1beta1"))
    return whole(kind, version, {"spec": reference}, ["spec"], definitions)


def claim_kind(definitions: Definitions) -> Schema:
    """PersistentVolumeClaim, whose spec the KubeVirt API definitions hold too."""
    reference = definitions.reference("k8s.io.api.core.v1.PersistentVolumeClaimSpec")
    definitions.found["CorePersistentVolumeClaimSpec"]["properties"]["volumeMode"]["enum"] = ["Block", "Filesystem"]
    return whole("PersistentVolumeClaim", "v1", {"spec": reference}, ["spec"], definitions)


def main(reference: Path) -> None:
    """Write every schema beside this file."""
    openapi: dict[str, Schema] = json.loads((reference / "kubevirt-openapi.json").read_text())["definitions"]
    notes: dict[str, str] = yaml.safe_load((HERE / "field_notes.yaml").read_text())
    crds = reference / "crds"
    custom = (
        ("VirtualMachine", "kubevirt.io/v1", "v1.VirtualMachineSpec"),
        ("DataVolume", "cdi.kubevirt.io/v1beta1", "v1beta1.DataVolumeSpec"),
    )
    schemas = [
        *(custom_kind(*names, crds, Definitions(openapi, notes)) for names in custom),
        claim_kind(Definitions(openapi, notes)),
        *(
            whole(kind, version, properties, required, Definitions(openapi, notes))
            for kind, version, properties, required in CORE_KINDS
        ),
    ]
    for schema in schemas:
        bundle.write(schema["$id"].rsplit("/", 1)[-1], schema)
    bundle.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
