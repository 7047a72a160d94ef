"""Rules for a DataVolume and for the templates of one in a VirtualMachine. *Source*: CDI's admission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.manifests.kinds.data_volume_sources import check_source
from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.persistent_volume_claim import DATA_SOURCES, check_access_modes, check_place
from reconciler.model.document import FieldPath
from reconciler.model.quantity import MIB, bytes_of

CLONE_SOURCES = ("pvc", "snapshot")


def check_data_volume(findings: Findings) -> None:
    """All rules of one DataVolume."""
    check_data_volume_spec(findings, findings.document.spec, ("spec",))


def check_data_volume_spec(findings: Findings, spec: Mapping[str, Any], path: FieldPath) -> None:
    """Source and size of a DataVolume whose spec stands at ``path``."""
    source = spec.get("source", {})
    places = [field for field in ("storage", "pvc") if field in spec]
    place: Mapping[str, Any] = spec[places[0]] if places else {}
    outside = [field for field in DATA_SOURCES if field in place]
    given = [*source, *(("sourceRef",) if "sourceRef" in spec else ())]
    _check_one_source(findings, given, outside, path)
    check_source(findings, spec, path)
    if len(places) != 1:
        text = "storage and pvc are both set" if places else "neither storage nor pvc says how large the disk is"
        findings.add("datavolume-storage", (*path, "pvc" if places else "storage"), text, "keep storage")
        return
    size = place.get("resources", {}).get("requests", {}).get("storage")
    size_path = (*path, places[0], "resources", "requests", "storage")
    takes_size = places[0] == "storage" and (given == ["sourceRef"] or any(name in CLONE_SOURCES for name in given))
    if size is None and not takes_size:
        findings.add("claim-no-size", size_path, "nothing says how large the disk is", "add resources.requests.storage")
    check_place(findings, place, (*path, places[0]))
    if _is_tiny(size):
        text = f"a disk of {size} is smaller than 1Mi, the least that is made"
        findings.add("datavolume-small", size_path, text, "mind the unit")
    is_pvc = places[0] == "pvc"
    check_access_modes(findings, place, (*path, places[0]), required=is_pvc, single=is_pvc)


def _check_one_source(findings: Findings, given: list[str], outside: list[str], path: FieldPath) -> None:
    """Exactly one source; ``outside`` are references of the claim to something that fills it."""
    if outside and given:
        text = f"{outside[0]} fills the disk, and so does {given[0]}"
        findings.add("datavolume-source", (*path, "source"), text, "keep one of them")
    elif not outside and len(given) != 1:
        text = (
            f"the DataVolume has {len(given)} sources: {', '.join(given)}" if given else "the DataVolume has no source"
        )
        findings.add("datavolume-source", (*path, "source"), text, "keep exactly one, such as blank: {}")


def _is_tiny(size: Any) -> bool:
    try:
        return size is not None and 0 < bytes_of(size) < MIB
    except ValueError:
        return False
