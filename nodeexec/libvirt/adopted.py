"""What the marks of an adopted domain remember of its adoption: `Adoption` as JSON data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeexec.libvirt.marks import MARKS_URI, DomainMarks, UnreadableMarks, from_json
from nodeexec.libvirt.safe_xml import Element
from reconciler.model.adoption import Adoption
from reconciler.model.domain import ClaimSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import KeptField

ADOPTED = "adopted"
"""``extra`` entry of the marks."""


def adoption_data(adoption: Adoption) -> dict[str, Any]:
    """The entry as JSON data; the domain's own name and UUID are the domain's to say."""
    claims = {
        text: {"namespace": claim.namespace, "claim": claim.claim, "pool": claim.pool, "format": claim.format}
        for text, claim in adoption.claims.items()
    }
    return {
        "key": str(adoption.key),
        "disks": dict(adoption.disks),
        "interfaces": dict(adoption.interfaces),
        "claims": claims,
        "networks": dict(adoption.networks),
        "kept": [[field.path, field.before, field.after] for field in adoption.kept],
    }


def adoption_of(marks: DomainMarks | UnreadableMarks | None, domain: str = "", uuid: str = "") -> Adoption | None:
    """The adoption that marks tell of; None for a domain that gitvirt made, and for marks that cannot be read."""
    data = marks.extra.get(ADOPTED) if isinstance(marks, DomainMarks) else None
    if not isinstance(data, Mapping):
        return None
    try:
        return Adoption(
            key=ObjectKey.parse(data["key"]),
            domain=domain,
            uuid=uuid,
            disks=_texts(data["disks"]),
            interfaces=_texts(data["interfaces"]),
            claims={str(text): ClaimSource(**_texts(claim)) for text, claim in data["claims"].items()},
            networks=_texts(data["networks"]),
            kept=tuple(KeptField(path=path, before=before, after=after) for path, before, after in data["kept"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def adoption_in(root: Element) -> Adoption | None:
    """The adoption within a domain's XML. The text is only read where it can hold one."""
    marks = root.find(f"metadata/{{{MARKS_URI}}}marks")
    text = (marks.text or "") if marks is not None else ""
    if f'"{ADOPTED}"' not in text:
        return None
    return adoption_of(from_json(text), root.findtext("name") or "", root.findtext("uuid") or "")


def _texts(data: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in data.items()}
