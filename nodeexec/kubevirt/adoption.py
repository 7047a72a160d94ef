"""Objects that are there already become gitvirt's as they are: marks are written, and nothing else is touched.

A VM of a cluster is told by its name, so nothing is mapped. What the manifest does not say is nobody's business there; only the
identity that gitvirt would derive is left as it was found (`marks.ADOPTED`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, CLAIM_KINDS, DATA_VOLUME, INSTANCE, KINDS, VM
from nodeexec.kubevirt.manifest import POWER_FIELDS
from nodeexec.kubevirt.marks import (
    ADOPTED,
    OWN,
    OWNER,
    TRACKING,
    annotations_of,
    applied_marks,
    is_tracked,
    labels_of,
    metadata_of,
)
from nodeexec.kubevirt.other_managers import other_manager
from nodeexec.kubevirt.project_vm import live_vm
from nodeexec.kubevirt.project_volume import is_trash, size_of
from nodeexec.kubevirt.steps import Steps, Tools
from nodeexec.kubevirt.vm_references import claim_names, template_of
from reconciler.model.adoption import Adoption, FoundDisk, FoundVm, Takeover
from reconciler.model.domain import ClaimSource, DiskSpec
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm
from reconciler.model.outcome import Outcome, Result
from reconciler.model.resolved import Resolved, ResolvedVm, ResolvedVolume

_AS_FOUND = "as-found"
_PLATFORM = ("virt-", "cdi-", "kube-", "kubemacpool", "gitvirt")
"""How the field managers begin whose fields stay theirs."""


def key_of(name: str) -> ObjectKey | None:
    """``NAMESPACE/NAME``, or ``NAMESPACE_NAME`` as gitvirt names VMs everywhere; None for anything else."""
    namespace, _, last = name.partition("/" if "/" in name else "_")
    return ObjectKey(VM, namespace, last) if namespace and last else None


def survey(tools: Tools, name: str) -> FoundVm | None:
    """A VirtualMachine and the claims that it stands on; None when there is none.

    Raises:
        ApiError, UnreachableError: it cannot be read.
    """
    key = key_of(name)
    if key is None or tools.access.read(KINDS[VM], key) is None:
        return None
    live = tools.observer.live(key)
    if not isinstance(live, LiveVm) or live.served is None:
        return None
    document = live.served.document
    claims = dict(_claims_of(tools, key, document))
    firmware = (template_of(document).get("domain") or {}).get("firmware") or {}
    going = ("it is being deleted",) if metadata_of(document).get("deletionTimestamp") else ()
    managed = other_manager(document)
    return FoundVm(
        name=f"{key.namespace}/{key.name}",
        uuid=str(firmware.get("uuid", "")),
        live=live,
        owner=live.marks.owner if live.marks is not None else "",
        disks=tuple(_disk(tools, volume, claim, found) for volume, (claim, found) in claims.items()),
        obstacles=(*going, *((managed,) if managed else ())),
        documents={one: _named(one, found) for one, found in ((key, document), *claims.values())},
    )


def _named(key: ObjectKey, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """With its version and kind, which items of a list do not say."""
    return {**document, "apiVersion": KINDS[key.kind].api_version, "kind": key.kind}


def _claims_of(
    tools: Tools, key: ObjectKey, document: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[ObjectKey, Mapping[str, Any]]]]:
    """Volume → what it stands on: a DataVolume where there is one of that name, else the claim."""
    for volume, claim in claim_names(template_of(document)):
        for kind in (DATA_VOLUME, CLAIM):
            found = tools.caches.get(kind, (key.namespace, claim))
            if found is not None:
                yield volume, (ObjectKey(kind, key.namespace, claim), found)
                break


def _disk(tools: Tools, volume: str, claim: ObjectKey, document: Mapping[str, Any]) -> FoundDisk:
    obstacle = other_manager(document)
    owner = labels_of(document).get(OWNER, "")
    if owner not in ("", tools.owner) and is_tracked(document, claim):
        obstacle = f"it is owned by {owner!r}"
    if is_trash(document):
        obstacle = "it is in the trash; take it back from there first"
    bound = tools.caches.get(CLAIM, (claim.namespace, claim.name))
    return FoundDisk(
        target=volume,
        spec=DiskSpec(name=volume, source=ClaimSource(namespace=claim.namespace, claim=claim.name, pool="", format="")),
        text=str(claim),
        volume=claim.name,
        size_bytes=size_of(document, bound),
        obstacle=obstacle,
    )


def as_adopted(tools: Tools, adoption: Adoption) -> LiveVm | None:
    """The VM as it would be observed with gitvirt's marks; None when it is gone."""
    live = tools.observer.live(adoption.key)
    if not isinstance(live, LiveVm) or live.served is None:
        return None
    document = live.served.document
    metadata = metadata_of(document)
    marked = {
        **metadata,
        "labels": {**labels_of(document), OWNER: tools.owner},
        "annotations": {**annotations_of(document), TRACKING: str(adoption.key), ADOPTED: _AS_FOUND},
    }
    instance = tools.caches.get(INSTANCE, (adoption.key.namespace, adoption.key.name))
    return live_vm(adoption.key, {**document, "metadata": marked}, instance, host=tools.observer.host)


def adopt(tools: Tools, takeover: Takeover) -> Outcome:
    """See `Engine.adopt`. The claims come first: what ends in the middle is asked for again as a whole.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    steps, adoption, wanted = Steps(), takeover.adoption, takeover.wanted
    key = adoption.key
    if key_of(adoption.domain) != key:
        return steps.outcome(Result.REFUSED, f"a VM of a cluster keeps its name: {adoption.domain} cannot be {key}")
    raw = tools.access.read(KINDS[VM], key)
    live = tools.observer.live(key)
    if raw is None or live is None:
        return steps.outcome(Result.CONFLICT, f"{key} is gone")
    if live.marks is not None and live.marks.owner != tools.owner:
        return steps.outcome(Result.REFUSED, f"{key} is owned by {live.marks.owner!r}")
    if live.marks is None:
        again = as_adopted(tools, adoption)
        if again is None or again.fingerprint != takeover.expected:
            return steps.outcome(Result.CONFLICT, f"{key} changed meanwhile; look at it again and repeat")
    for claim in takeover.claims:
        refused = _adopt_claim(tools, claim, takeover.revision, steps)
        if refused:
            return steps.outcome(Result.REFUSED, refused)
    if live.marks is None:
        mark(tools, wanted, raw, _as_applied(wanted, raw), takeover.revision, steps)
    return steps.outcome()


def _adopt_claim(tools: Tools, claim: ResolvedVolume, revision: str, steps: Steps) -> str:
    """Why a claim cannot be gitvirt's; empty when it is."""
    raw = tools.access.read(KINDS[claim.key.kind], claim.key)
    if raw is None:
        return f"{claim.key} is not there"
    owner = labels_of(raw).get(OWNER, "")
    if is_tracked(raw, claim.key):
        return "" if owner == tools.owner else f"{claim.key} is owned by {owner!r}"
    mark(tools, claim, raw, claim.applied, revision, steps)
    return ""


def _as_applied(wanted: ResolvedVm, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the VM is taken to have been given: the manifest, but for a run strategy that is another now. It comes about like any
    change of Git, and not as if somebody had stopped or started the VM past it.
    """
    spec = {name: value for name, value in (wanted.applied.get("spec") or {}).items() if name not in POWER_FIELDS}
    have = raw.get("spec") or {}
    return {**wanted.applied, "spec": {**spec, **{name: have[name] for name in POWER_FIELDS if name in have}}}


def mark(
    tools: Tools, wanted: Resolved, raw: Mapping[str, Any], applied: Mapping[str, Any], revision: str, steps: Steps
) -> None:
    """One request: the marks, and fields that nobody else holds any more but the platform."""
    labels, annotations = applied_marks(wanted.key, tools.owner, revision, applied)
    metadata = {
        "labels": labels,
        "annotations": {**annotations, ADOPTED: _AS_FOUND},
        "managedFields": _left(metadata_of(raw).get("managedFields") or ()),
        "resourceVersion": metadata_of(raw).get("resourceVersion"),
    }
    tools.access.patch(KINDS[wanted.key.kind], wanted.key, {"metadata": metadata})
    steps.note(f"wrote marks on {wanted.key}")


def _left(entries: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Who holds fields from now on. Kubernetes reads a list of one empty entry as none, and an empty list as nothing said."""
    kept = [one for one in entries if one.get("subresource") or str(one.get("manager", "")).startswith(_PLATFORM)]
    return kept or [{}]


def release_claims(tools: Tools, live: LiveVm, steps: Steps) -> None:
    """Take the marks off the claims that were adopted with a VM.

    Raises:
        ApiError, UnreachableError: see `ApiClient.call`.
    """
    document = live.served.document if live.served is not None else {}
    if ADOPTED not in annotations_of(document):
        return
    nothing = dict.fromkeys(sorted(OWN))
    for _, claim in claim_names(template_of(document)):
        for kind in CLAIM_KINDS:
            key = ObjectKey(kind, live.key.namespace, claim)
            found = tools.caches.get(kind, (key.namespace, key.name))
            is_ours = found is not None and is_tracked(found, key) and labels_of(found)[OWNER] == tools.owner
            if found is not None and is_ours and ADOPTED in annotations_of(found) and not is_trash(found):
                tools.access.patch(KINDS[kind], key, {"metadata": {"labels": nothing, "annotations": nothing}})
                steps.note(f"took the marks off {key}")
