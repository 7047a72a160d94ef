"""What a VM of a platform names and nobody has: said in the plan, because the platform only waits for it."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.plan import Note
from reconciler.planning.proposal import Circumstances
from reconciler.planning.references import Reference, references_of

_WATCHED = ("PersistentVolumeClaim", "DataVolume", "NetworkAttachmentDefinition", "VirtualMachine")
"""Kinds that engines of platforms watch as a whole (instancetypes and preferences begin like the last). Of Secrets and ConfigMaps they see their own
alone: what is not seen of those may be there.
"""


def observable_references(document: Document) -> Iterator[Reference]:
    """What a document names, of the kinds of which everything is seen."""
    for reference in references_of(document):
        if any(key.kind.startswith(_WATCHED) for key in reference.keys):
            yield reference


def missing_references(document: Document, around: Circumstances) -> Iterator[Note]:
    """A note for each that neither the repository nor the platform has."""
    if around.in_the_end:
        return
    for reference in observable_references(document):
        if not any(_is_known(key, around) for key in reference.keys):
            wanted = reference.keys[0]
            message = f"{reference.path} names {wanted}, which neither the repository nor the cluster has"
            yield Note(key=document.key, code="reference-missing", message=message)


def _is_known(key: ObjectKey, around: Circumstances) -> bool:
    """Whether an object is declared or there, or nobody can tell."""
    live = around.live(key)
    observation = around.observation
    return (
        key in around.desired.present
        or live is not None
        or observation.is_unknown(key)
        or key.kind in observation.unserved
    )
