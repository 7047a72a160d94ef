"""Rules for single documents, one file a kind. They see only documents that have passed their schema."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.manifests.kinds.config_map import check_config_map
from reconciler.manifests.kinds.data_volume import check_data_volume
from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.metadata import check_metadata
from reconciler.manifests.kinds.network_attachment_definition import check_network_attachment
from reconciler.manifests.kinds.persistent_volume_claim import check_claim
from reconciler.manifests.kinds.secret import check_secret
from reconciler.manifests.kinds.virtual_machine import check_virtual_machine
from reconciler.model.document import Document
from reconciler.model.problem import Problem

_RULES: dict[str, Callable[[Findings], None]] = {
    "VirtualMachine": check_virtual_machine,
    "PersistentVolumeClaim": check_claim,
    "DataVolume": check_data_volume,
    "Secret": check_secret,
    "ConfigMap": check_config_map,
    "NetworkAttachmentDefinition": check_network_attachment,
}
"""Kinds with rules beyond their schema and their metadata."""


def check_document(document: Document) -> tuple[Problem, ...]:
    """What is wrong with one document that its schema lets through."""
    findings = Findings(document)
    check_metadata(findings)
    rule = _RULES.get(document.key.kind)
    if rule is not None:
        rule(findings)
    return findings.told()
