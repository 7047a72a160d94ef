"""The engine's own settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KubevirtSettings:
    """How the cluster is reached, and what may be done there. ``kubeconfig`` empty means the service account of the pod, else the
    usual file; ``context`` empty means its current one. ``namespaces`` are watched, all of them when there are none; what lies in others is
    not touched. ``force_conflicts``: fields of other managers are taken over. ``correct_power``: a run strategy that somebody else
    changed (virtctl) is put back. ``lease_namespace`` empty means that of the pod, else `own_objects.USUAL_NAMESPACE`. ``stale_after_s`` is how long a watch may be out of step before its kind counts as unread.
    """

    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()
    lease_namespace: str = ""
    force_conflicts: bool = False
    correct_power: bool = False
    request_timeout_s: float = 30.0
    stale_after_s: float = 60.0
    threads: int = 4
