"""CDI and a storage provisioner, played: DataVolumes are imported or cloned into claims, claims are bound, grow and are protected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE
from nodeexec.kubevirt.vm_references import claim_names
from reconciler.model.quantity import bytes_of
from tests.cluster.hands import Hands

IMAGES = "http://images.example"
GUESTS = ("polite", "deaf", "brief")
_IMPORT_S, _SLOW_S = 0.3, 1.5
_DONE = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is on a claim: the guest that it boots, and the byte that somebody wrote over it."""

    guest: str = "deaf"
    pattern: int = 0


class PlayedVolumes:
    """See the module. Contents belong to one claim, by its uid: a claim of the same name that was made anew is empty."""

    def __init__(self, hands: Hands, namespace: str) -> None:
        self._hands, self._namespace = hands, namespace
        self.now = 0.0
        self._contents: dict[str, Content] = {}
        self._begun: dict[str, float] = {}
        self._backups: dict[str, dict[str, Any]] = {}

    def guest_on(self, claim: str) -> str:
        """The guest that a claim boots; empty while there is no claim."""
        if self._hands.get(CLAIM, self._namespace, claim) is None:
            return ""
        return self._contents.get(self._uid(claim), Content()).guest

    def write(self, claim: str, pattern: int) -> None:
        """Somebody writes on a claim."""
        uid = self._uid(claim)
        self._contents[uid] = replace(self._contents.get(uid, Content()), pattern=pattern)

    def reads(self, claim: str, pattern: int) -> bool:
        """Whether that is what is on it."""
        return self._contents.get(self._uid(claim), Content()).pattern == pattern

    def lose(self, claim: str) -> None:
        """Somebody deletes a claim, and nothing protects it; what was on it is kept as a backup, with all that was written on the object."""
        found = self._hands.get(CLAIM, self._namespace, claim)
        assert found is not None, f"there is no claim {claim}"
        self._backups[claim] = found
        self._hands.delete(CLAIM, self._namespace, claim)
        if self._hands.get(CLAIM, self._namespace, claim) is not None:
            self._hands.patch(CLAIM, self._namespace, claim, {"metadata": {"finalizers": None}})

    def put_back(self, claim: str) -> None:
        """The backup is played back: another object with the same labels, annotations and data."""
        backup = self._backups.pop(claim)
        metadata = {
            name: backup["metadata"][name]
            for name in ("name", "namespace", "labels", "annotations")
            if name in backup["metadata"]
        }
        made = self._hands.create(
            {"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": backup["spec"]}, manager="backup"
        )
        self._hands.set_status(CLAIM, self._namespace, claim, backup["status"])
        content = self._contents.get(backup["metadata"]["uid"])
        if content is not None:
            self._contents[made["metadata"]["uid"]] = content

    def step(self, listed: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bool:
        """Whether anything was done."""
        claims = listed[CLAIM]
        used = {name for one in listed[INSTANCE].values() for _, name in claim_names(one.get("spec") or {})}
        acted = [self._fill(volume, claims) for volume in listed[DATA_VOLUME].values()]
        acted += [self._keep(claim, name in used) for name, claim in claims.items()]
        return any(acted)

    def _uid(self, claim: str) -> str:
        found = self._hands.get(CLAIM, self._namespace, claim)
        assert found is not None, f"there is no claim {claim}"
        return str(found["metadata"]["uid"])

    def _fill(self, volume: Mapping[str, Any], claims: Mapping[str, Mapping[str, Any]]) -> bool:
        metadata = volume["metadata"]
        status = volume.get("status") or {}
        if metadata.get("deletionTimestamp"):
            return False
        name = metadata["name"]
        if name not in claims:  # Also after it was filled: whoever deletes its claim gets another one.
            self._make_claim(volume)
            return True
        if status.get("phase") in _DONE:
            return False
        began = self._begun.setdefault(metadata["uid"], self.now)
        wanted = self._state(volume["spec"].get("source") or {}, claims, began)
        if wanted["phase"] == "Succeeded":
            content = self._content(volume["spec"].get("source") or {}, claims)
            self._contents.setdefault(claims[name]["metadata"]["uid"], content)
        if all(status.get(field) == value for field, value in wanted.items()):
            return False
        self._hands.set_status(DATA_VOLUME, self._namespace, name, wanted)
        return True

    def _make_claim(self, volume: Mapping[str, Any]) -> None:
        """Labels and annotations are copied, as CDI does it; so are gitvirt's own."""
        metadata, spec = volume["metadata"], volume["spec"]
        asked = spec.get("storage") or spec.get("pvc") or {}
        owner = {
            "apiVersion": volume["apiVersion"], "kind": DATA_VOLUME, "name": metadata["name"], "uid": metadata["uid"],
            "controller": True,
        }  # fmt: skip
        copied = {field: metadata[field] for field in ("labels", "annotations") if metadata.get(field)}
        self._hands.create(
            {
                "apiVersion": "v1",
                "kind": CLAIM,
                "metadata": {
                    "name": metadata["name"], "namespace": self._namespace, "ownerReferences": [owner], **copied,
                },
                "spec": {"accessModes": ["ReadWriteOnce"], **asked},
            }
        )  # fmt: skip

    def _state(
        self, source: Mapping[str, Any], claims: Mapping[str, Mapping[str, Any]], began: float
    ) -> dict[str, Any]:
        """The status of a volume that is filled since ``began``."""
        url = str((source.get("http") or {}).get("url", ""))
        if url and url.rpartition("/")[2] not in GUESTS:
            why = "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found"
            failing = {"type": "Running", "status": "False", "reason": "Error", "message": why}
            return {"phase": "ImportInProgress", "conditions": [failing]}
        clone = source.get("pvc")
        if clone is not None and clone["name"] not in claims:
            return {"phase": "CloneScheduled"}
        takes = 0.0 if "blank" in source else _SLOW_S if "/slow/" in url else _IMPORT_S
        if self.now - began >= takes:
            return {"phase": "Succeeded", "progress": "100.0%", "conditions": []}
        return {"phase": "CloneInProgress" if clone is not None else "ImportInProgress"}

    def _content(self, source: Mapping[str, Any], claims: Mapping[str, Mapping[str, Any]]) -> Content:
        if (clone := source.get("pvc")) is not None:
            return self._contents.get(claims[clone["name"]]["metadata"]["uid"], Content())
        url = str((source.get("http") or {}).get("url", ""))
        return Content(guest=url.rpartition("/")[2]) if url else Content()

    def _keep(self, claim: Mapping[str, Any], is_used: bool) -> bool:
        """A claim is bound, has at least what it asks for, and goes only when no guest uses it."""
        metadata, status = claim["metadata"], claim.get("status") or {}
        name = metadata["name"]
        if metadata.get("deletionTimestamp"):
            if metadata.get("finalizers") and not is_used:
                self._hands.patch(CLAIM, self._namespace, name, {"metadata": {"finalizers": None}})
                return True
            return False
        asked = claim["spec"]["resources"]["requests"]["storage"]
        has = (status.get("capacity") or {}).get("storage", "0")
        if status.get("phase") == "Bound" and bytes_of(has) >= bytes_of(asked):
            return False
        self._hands.set_status(
            CLAIM,
            self._namespace,
            name,
            {"phase": "Bound", "capacity": {"storage": asked}, "accessModes": claim["spec"]["accessModes"]},
        )
        return True
