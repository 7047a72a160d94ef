"""Health of what was observed: findings on VMs and volumes, with the reason that a person needs.

Conditions and phases are in the caches; events are asked for only about what is not well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from threading import Lock
from typing import Any

from nodeexec.kubevirt.caches import Caches
from nodeexec.kubevirt.events import Events
from nodeexec.kubevirt.findings import Finding, Subject, age_s
from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE
from nodeexec.kubevirt.vm_findings import PROVISIONING, not_begun, vm_finding
from nodeexec.kubevirt.vm_references import claim_names, template_of
from nodeexec.kubevirt.volume_findings import MOVING, claim_finding, not_done, volume_finding
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LOST, LiveObject, LiveVm, LiveVolume, Observation
from reconciler.ports import Clock


@dataclass(frozen=True, slots=True)
class _Still:
    """What a volume looked like, and since when (monotonic) it looks like that."""

    looks: tuple[Any, ...]
    since: float


@dataclass(frozen=True, slots=True)
class _Judged:
    live: LiveObject
    said: tuple[str, str]
    result: LiveObject


class Health:
    """Judges observations. What was judged alike before is the same object again."""

    def __init__(self, caches: Caches, events: Events, clock: Clock) -> None:
        self._caches, self._events, self._clock = caches, events, clock
        self._lock = Lock()
        self._still: dict[ObjectKey, _Still] = {}
        self._judged: dict[ObjectKey, _Judged] = {}

    def judged(self, observation: Observation) -> Observation:
        """The same, with what is wrong (``fault``) and what the platform is still about (``pending``) said on each object."""
        with self._lock:
            found = {key: self._finding(live) for key, live in observation.objects.items()}
            findings = {key: one for key, one in found.items() if one is not None}
        self._events.look(_in_turn([findings[key].about for key in sorted(findings)]))
        with self._lock:
            objects = {key: self._told(key, live, findings.get(key)) for key, live in observation.objects.items()}
            if observation.asked is None:
                self._judged = {key: one for key, one in self._judged.items() if key in objects}
                self._still = {key: one for key, one in self._still.items() if self._caches.find(key) is not None}
        return replace(observation, objects=objects)

    def _told(self, key: ObjectKey, live: LiveObject, finding: Finding | None) -> LiveObject:
        if not isinstance(live, LiveVm | LiveVolume):
            return live
        why = self._events.why(finding.about) if finding is not None else ""
        fault = finding.told(why) if finding is not None and (finding.certain or why) else ""
        said = (fault, "" if fault else self._pending(live))
        known = self._judged.get(key)
        if known is not None and known.live is live and known.said == said:
            return known.result
        result: LiveObject = replace(live, fault=said[0], pending=said[1]) if any(said) else live
        self._judged[key] = _Judged(live, said, result)
        return result

    def _finding(self, live: LiveObject) -> Finding | None:
        if live.served is None:
            return None
        key, document = live.key, live.served.document
        if isinstance(live, LiveVolume):
            return self._volume(key.kind, (key.namespace, key.name), document, live.used_by)
        if not isinstance(live, LiveVm):
            return None
        ended = self._caches.get(INSTANCE, (key.namespace, key.name))
        return vm_finding(document, ended, self._volumes_of(live), self._clock.now())

    def _volumes_of(self, live: LiveVm) -> Mapping[str, Finding]:
        """What is wrong with the volumes of a VM that waits for them, by their names."""
        if live.served is None or live.reported not in (*PROVISIONING, "DataVolumeError", "ErrorPvcNotFound"):
            return {}
        found = {}
        for _, name in claim_names(template_of(live.served.document)):
            at = (live.key.namespace, name)
            for kind in (DATA_VOLUME, CLAIM):
                document = self._caches.get(kind, at)
                if document is not None:
                    finding = self._volume(kind, at, document, (live.key,))
                    if finding is not None:
                        found[name] = finding
                    break
        return found

    def _volume(
        self, kind: str, at: tuple[str, str], document: Mapping[str, Any], users: tuple[ObjectKey, ...]
    ) -> Finding | None:
        claim = self._caches.get(CLAIM, at)
        waits = self._has_consumer(users)
        still_s = self._still_s(ObjectKey(kind, *at), document)
        if kind == DATA_VOLUME:
            return volume_finding(document, claim, still_s=still_s, has_consumer=waits)
        if self._caches.get(DATA_VOLUME, at) is not None:
            return None
        return claim_finding(document, still_s=still_s, has_consumer=waits)

    def _still_s(self, key: ObjectKey, document: Mapping[str, Any]) -> float:
        """For how long nothing of a volume moved: as it was watched, and before that by its own times, but for a percentage, of which
        nobody noted when it moved.
        """
        status = document.get("status") or {}
        looks = (status.get("phase"), status.get("progress"), status.get("restartCount"))
        now, known = self._clock.monotonic(), self._still.get(key)
        if known is None or known.looks != looks:
            has_percentage = known is not None or str(status.get("progress", "N/A")) != "N/A"
            before = 0.0 if has_percentage else age_s(document, self._clock.now())
            known = self._still[key] = _Still(looks, now - before)
        return now - known.since

    def _pending(self, live: LiveVm | LiveVolume) -> str:
        """What a platform is about, or has yet to begin."""
        document = live.served.document if live.served is not None else {}
        if isinstance(live, LiveVolume):
            return self._filling(live, document) if live.phase != LOST else ""
        if live.served is None:
            return ""
        if live.reported not in PROVISIONING:
            return not_begun(document, self._caches.get(INSTANCE, (live.key.namespace, live.key.name)))
        at = [(name, (live.key.namespace, name)) for _, name in claim_names(template_of(document))]
        volumes = [(name, self._caches.get(DATA_VOLUME, one)) for name, one in at]
        moving = [
            f"{name} {status.get('phase')} {status.get('progress') or ''}".strip()
            for name, volume in volumes
            if str((status := (volume or {}).get("status") or {}).get("phase", "")).endswith(MOVING)
        ]
        phase = ((live.served.instance or {}).get("status") or {}).get("phase")
        at_instance = f"its instance is {phase}" if phase else ""
        return ": ".join(filter(None, (live.reported, ", ".join(moving) or at_instance)))

    def _filling(self, live: LiveVolume, document: Mapping[str, Any]) -> str:
        if live.phase.endswith(MOVING):
            done = "" if live.progress is None else f", {live.progress:.0%}"
            return "; ".join(filter(None, (f"{live.phase}{done}", live.reason)))
        return not_done(live.key, document, has_consumer=self._has_consumer(live.used_by))

    def _has_consumer(self, users: tuple[ObjectKey, ...]) -> bool:
        """Whether a guest is there that wants a volume."""
        return any(self._caches.get(INSTANCE, (user.namespace, user.name)) is not None for user in users)


def _in_turn(groups: list[tuple[Subject, ...]]) -> list[Subject]:
    """The first subject of each, then the second of each: what tells most about one object comes before the rest about another."""
    return [one for row in zip_longest(*groups) for one in row if one is not None]
