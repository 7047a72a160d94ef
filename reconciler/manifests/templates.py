"""The disks that a VirtualMachine declares within itself."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

from reconciler.manifests.known_kinds import KNOWN_KINDS
from reconciler.manifests.load import digest_of
from reconciler.manifests.walk import children, pairs, subtree
from reconciler.model.compact_json import compact_json
from reconciler.model.document import NO_POSITIONS, Document, Positions
from reconciler.model.keys import ObjectKey


def template_documents(vm: Document) -> tuple[Document, ...]:
    """Each of a valid VM's ``dataVolumeTemplates`` as the DataVolume it stands for, placed where the template stands."""
    templates = vm.spec.get("dataVolumeTemplates", ())
    return tuple(_document(vm, index, template) for index, template in enumerate(templates))


def template_keys(vm: Document) -> tuple[ObjectKey, ...]:
    """The keys of `template_documents`."""
    names = (template["metadata"]["name"] for template in vm.spec.get("dataVolumeTemplates", ()))
    return tuple(ObjectKey("DataVolume", vm.key.namespace, name) for name in names)


def _document(vm: Document, index: int, template: dict[str, Any]) -> Document:
    api_version = KNOWN_KINDS["DataVolume"]
    key = ObjectKey("DataVolume", vm.key.namespace, template["metadata"]["name"])
    body = _body(template, api_version, key.namespace)
    return Document(
        key=key,
        api_version=api_version,
        body=compact_json(body),
        digest=digest_of(body),
        file=vm.file,
        origin=vm.origin,
        positions=_TemplatePositions(vm, index),
    )


def _body(template: dict[str, Any], api_version: str, namespace: str) -> dict[str, Any]:
    metadata = {**template["metadata"], "namespace": namespace}
    rest = {name: value for name, value in template.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": api_version, "kind": "DataVolume", "metadata": metadata, **rest}


@dataclass(frozen=True, slots=True)
class _TemplatePositions:
    """Those of template number ``index`` of a VM: worked out when a problem has to be placed, which is rare."""

    vm: Document
    index: int

    def read(self) -> Positions:
        """See `UnreadPositions.read`."""
        written = self.vm.positions
        if not written.marks[0]:
            return NO_POSITIONS
        template, own = subtree(written.marks, self.vm.body, ("spec", "dataVolumeTemplates", self.index))
        body = _body(template, KNOWN_KINDS["DataVolume"], self.vm.key.namespace)
        return Positions(_placed(body, template, own.marks, own.marks[:2]))


def _placed(body: Any, template: Any, marks: array[int], start: array[int]) -> array[int]:
    """The walk of ``body``, taking pairs from the template's walk; what the template does not say stands at its ``start``."""
    known = {name: (at, value) for name, value, at in children(template, 0)}
    placed = array("I", marks[:2])
    for name, value in body.items():
        at, written = known.get(name, (0, None))
        if not at:
            placed += start * (1 + pairs(value))
        elif value == written:
            placed += marks[2 * (at - 1) : 2 * (at + pairs(value))]
        else:
            placed += marks[2 * (at - 1) : 2 * at]
            own = marks[2 * at : 2 * (at + pairs(written))]
            placed += _placed(value, written, own, start) if isinstance(value, dict) else own
    return placed
