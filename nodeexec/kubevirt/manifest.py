"""The document that is meant, and the one that is sent: a manifest with the identity it leaves out, and our marks. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nodeexec.kubevirt.keeping import secret_as_kept
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, Kind
from nodeexec.kubevirt.leaves import MASK, by_name
from nodeexec.kubevirt.marks import ADOPTED, annotations_of, applied_marks
from nodeexec.kubevirt.merging import merged
from nodeexec.kubevirt.normal_form import as_served
from nodeexec.kubevirt.project_volume import requested
from nodeexec.kubevirt.vm_references import template_of
from reconciler.model.adoption import ADOPT
from reconciler.model.live import LiveObject, LiveVm, LiveVolume
from reconciler.model.resolved import Resolved, ResolvedVm

NOT_DECLARED = ("apiVersion", "kind", "metadata", "status")
POWER_FIELDS = ("runStrategy", "running")


def meant(wanted: Resolved, last: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as it is to be on an object that is there as ``served`` and was declared as ``last`` (empty for none)."""
    body = dict(wanted.document.body) if wanted.document is not None else {}
    declared = {name: value for name, value in body.items() if name not in NOT_DECLARED}
    metadata = body.get("metadata") or {}
    declared = {**declared, **_declared_metadata(metadata)}
    if not isinstance(wanted, ResolvedVm):
        return declared
    return as_served(_with_identity(declared, wanted, served), last, served)


def compared(wanted: Resolved, last: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """The same in the form in which live objects are kept."""
    declared = meant(wanted, last, served)
    return secret_as_kept(declared) if wanted.key.kind == "Secret" else declared


def declared_part(applied: Mapping[str, Any]) -> dict[str, Any]:
    """Of a last applied document what can be compared: the manifest's own part."""
    declared = {name: value for name, value in applied.items() if name not in NOT_DECLARED}
    metadata = applied.get("metadata") or {}
    return {**declared, **_declared_metadata(metadata)}


RECORDED = ("gitvirt.io/source", "gitvirt.io/key", ADOPT)
"""Annotations that the manifest or the applied document has and the object has not."""


def _declared_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``{"metadata": …}`` with labels and annotations; nothing where there are none."""
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name not in RECORDED}
    kept = {"labels": metadata.get("labels"), "annotations": annotations}
    said = {name: value for name, value in kept.items() if value}
    return {"metadata": said} if said else {}


def _with_identity(declared: dict[str, Any], wanted: ResolvedVm, served: Mapping[str, Any]) -> dict[str, Any]:
    """Law 9: UUID, serial number and MACs are those that every engine derives. A VM that was adopted has its own; only NICs that it gets
    anew have none yet.
    """
    made = copy.deepcopy(declared)
    domain = made.setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {}).setdefault("domain", {})
    macs = {nic.name: nic.mac for nic in wanted.domain.interfaces}
    if ADOPTED in annotations_of(served):
        there = (template_of(served).get("domain") or {}).get("devices") or {}
        macs = {name: mac for name, mac in macs.items() if name not in by_name(there.get("interfaces") or [])}
    else:
        firmware = domain["firmware"] = dict(domain.get("firmware") or {})
        firmware["uuid"] = firmware.get("uuid") or wanted.domain.uuid
        firmware["serial"] = firmware.get("serial") or wanted.domain.serial
    for nic in (domain.get("devices") or {}).get("interfaces") or ():
        if not nic.get("macAddress") and nic.get("name") in macs:
            nic["macAddress"] = macs[nic["name"]]
    return made


def sent(
    wanted: Resolved,
    live: LiveObject | None,
    kind: Kind,
    *,
    owner: str,
    revision: str,
    keep_power: bool = False,
    plain: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of the server-side apply. What nobody declared stays in lists that are written whole; a claim never
    shrinks; with ``keep_power`` (somebody else holds it) the run strategy stays as it is; a secret that is not at hand stays as it is, which of a Secret
    is known from ``plain``, the object as it was just read (`needs_plain`).
    """
    served = live.served.document if live is not None and live.served is not None else {}
    marks = live.marks if live is not None else None
    last = declared_part(marks.applied) if marks is not None and marks.applied else {}
    declared = meant(wanted, last, served)
    is_secret = needs_plain(wanted)
    body = _secret(declared, plain or {}) if is_secret else unmasked(merged(declared, last, served), served)
    labels, annotations = applied_marks(wanted.key, owner, revision, wanted.applied)
    metadata = body.get("metadata") or {}
    key = wanted.key
    body["metadata"] = {
        "name": key.name,
        **({"namespace": key.namespace} if kind.namespaced else {}),
        "labels": {**metadata.get("labels", {}), **labels},
        "annotations": {**metadata.get("annotations", {}), **annotations},
    }
    if keep_power and isinstance(live, LiveVm):
        _keep_power(body, served)
    if isinstance(live, LiveVolume):
        _keep_volume(body, served, key.kind)
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}


def needs_plain(wanted: Resolved) -> bool:
    """Whether a manifest is a Secret's of which values are known as digests only: what is kept of the live one are digests too."""
    body = wanted.document.body if wanted.document is not None else {}
    return wanted.key.kind == "Secret" and any(
        str(value).startswith(MASK) for part in _SECRET_PARTS for value in (body.get(part) or {}).values()
    )


_SECRET_PARTS = ("data", "stringData")


def _secret(declared: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret whose masked values are those that are there; one that is not there any more is left out."""
    have: dict[str, Any] = {}
    made = {name: value for name, value in declared.items() if name not in _SECRET_PARTS}
    for part in _SECRET_PARTS:
        said = declared.get(part) or {}
        known = {name: value for name, value in said.items() if not str(value).startswith(MASK)}
        have |= {name: value for name, value in (plain.get("data") or {}).items() if name in said and name not in known}
        made |= {part: known} if known else {}
    return {**made, "data": {**have, **made.get("data", {})}}


def _keep_power(body: dict[str, Any], served: Mapping[str, Any]) -> None:
    spec, have = body.get("spec") or {}, served.get("spec") or {}
    for name in POWER_FIELDS:
        spec.pop(name, None)
    spec |= {name: have[name] for name in POWER_FIELDS if name in have}


def _keep_volume(body: dict[str, Any], served: Mapping[str, Any], kind: str) -> None:
    """What was settled when it was made. A DataVolume's spec is read once; of a claim only the request may grow."""
    if kind == DATA_VOLUME:
        body["spec"] = copy.deepcopy(served.get("spec") or {})
    elif kind == CLAIM:
        asked, have = body.get("spec") or {}, served.get("spec") or {}
        grows = requested(asked) > requested(have)
        kept = {name: copy.deepcopy(have[name]) for name in asked if name in have}
        if grows:
            kept["resources"] = copy.deepcopy(asked["resources"])
        body["spec"] = kept


def unmasked(body: Any, served: Any) -> Any:
    """What is known only as a digest (the last applied document of an object that is held) is sent as it is there already."""
    if isinstance(body, Mapping):
        have = served if isinstance(served, Mapping) else {}
        return {name: found for name, value in body.items() if (found := unmasked(value, have.get(name))) is not None}
    if isinstance(body, list):
        have_items = (
            {item.get("name"): item for item in served or () if isinstance(item, Mapping)}
            if isinstance(served, list)
            else {}
        )
        return [
            unmasked(item, have_items.get(item.get("name")) if isinstance(item, Mapping) else None) for item in body
        ]
    if isinstance(body, str) and body.startswith(MASK):
        return served
    return body
