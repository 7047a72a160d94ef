"""What KubeVirt looks at when it decides whether a change of a running VM is carried out live. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nodeexec.kubevirt.conditions import condition, is_true
from nodeexec.kubevirt.rollout import LIVE_UPDATE, Rollout
from nodeexec.kubevirt.vm_references import template_of
from reconciler.model.plan import Impact

AT_START = "is set when the guest starts"


class Verdict(NamedTuple):
    """What a change costs, and why. ``refused`` is why gitvirt does not carry it out by itself; ``is_power`` says that it is about
    whether the guest runs, not about what it is.
    """

    impact: Impact
    reason: str
    refused: str = ""
    is_power: bool = False


def live(reason: str) -> Verdict:
    """The guest goes on."""
    return Verdict(Impact.LIVE, reason)


def restart(reason: str, refused: str = "") -> Verdict:
    """It waits for a restart."""
    return Verdict(Impact.RESTART, reason, refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """One VM: its document as ``wanted`` and as it is there (``have``), the ``instance`` that runs (None for none, or where nobody
    can tell), how the cluster rolls changes out, and whether the VM's own policy lets it be restarted at any time.
    """

    wanted: Mapping[str, Any]
    have: Mapping[str, Any]
    instance: Mapping[str, Any] | None
    rollout: Rollout
    may_restart: bool = False

    @property
    def guest(self) -> Mapping[str, Any]:
        """The specification of the instance, empty for none."""
        found: Mapping[str, Any] = (self.instance or {}).get("spec") or {}
        return found

    def why_staged(self) -> Verdict | None:
        """Why sizes, placement and moved volumes wait for a restart on this cluster, whatever they are."""
        if self.rollout.strategy != LIVE_UPDATE:
            return restart("the cluster stages changes (rollout strategy Stage) until the guest starts")
        if is_true(self.have, "RestartRequired"):
            return restart("the VM waits for a restart already, and KubeVirt plugs nothing in until then")
        return None

    def why_not_moved(self) -> str:
        """Why the guest cannot be migrated for a change; empty when it can, or nobody can tell."""
        if self.instance is None:
            return ""
        said = condition(self.instance, "LiveMigratable")
        if said is None or said.get("status") == "True":
            return ""
        return (
            f"the guest cannot be migrated ({said.get('message') or said.get('reason') or 'KubeVirt does not say why'})"
        )

    def item(self, path: str, name: str, *, wanted: bool) -> Mapping[str, Any]:
        """An item of a named list of the template (``volumes``, ``domain.devices.disks``), empty for none."""
        return item_of(template_of(self.wanted if wanted else self.have), path, name)


def item_of(template: Mapping[str, Any], path: str, name: str) -> Mapping[str, Any]:
    """An item of a named list, empty for none."""
    found: Any = template
    for part in path.split("."):
        found = (found or {}).get(part)
    return next((item for item in found or () if isinstance(item, Mapping) and item.get("name") == name), {})
