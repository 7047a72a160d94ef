"""The settings that decisions depend on: one `Policy`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.policy import BlastRadius, Mode, Policy, StorageClassPolicy
from reconciler.settings.file import RawSettings
from reconciler.settings.places import is_session
from reconciler.settings.pod_network import pod_network_as_file, read_pod_network
from reconciler.settings.source import read_sources
from reconciler.settings.values import read_duration_s, value_at

PRUNED_KINDS = ("ConfigMap", "Secret")
"""Kinds beside VMs, claims and networks that are pruned on a cluster unless the settings name others."""

NEVER_PRUNED = re.compile(
    r"^(Namespace|Node|StorageClass|PersistentVolume|PersistentVolumeClaim|CustomResourceDefinition|APIService|KubeVirt|CDI|DataVolume"
    r"|VirtualMachine|VirtualMachineInstance|VirtualMachineInstanceReplicaSet|VirtualMachinePool"
    r"|Volume(Group)?Snapshot(Content|Class)?|VirtualMachine(Snapshot|SnapshotContent|Restore|Export|Clone|Backup|BackupTracker)"
    r"|DataImportCron|DataSource|StorageProfile)(\..*)?$"
)
"""Kinds whose deletion takes other things with it."""

NO_CLUSTER: Any = object()
_DEFAULT = Policy()
SHORTEST_EXPIRY_S = 3600.0
"""Trash of today is what tomorrow's revert needs; less than this is a slip of the unit."""


def read_policy(raw: RawSettings, hostname: str) -> Policy:
    """Everything a decision may depend on, from all over the file.

    Raises:
        SettingsError: values that contradict each other.
    """
    body = raw.body
    blast = body.get("blastRadius") or {}
    mode = body.get("mode")
    default = _DEFAULT
    cluster = (body.get("engine") or {}).get("kubevirt", NO_CLUSTER)
    on_cluster = cluster is not NO_CLUSTER
    host = body.get("hostName", "cluster" if on_cluster else hostname)
    return Policy(
        on_cluster=on_cluster,
        prunable_kinds=_read_prunable_kinds(raw, (cluster or {}) if on_cluster else {}),
        owner=body.get("owner", default.owner),
        identity_seed=body.get("identitySeed", default.identity_seed),
        host=host,
        host_labels={"kubernetes.io/hostname": host, **(body.get("hostLabels") or {})},
        default_namespace=body.get("defaultNamespace", default.default_namespace),
        mode=Mode(mode) if mode else None,
        namespace_modes={name: Mode(value) for name, value in (body.get("namespaceModes") or {}).items()},
        storage_classes={
            name: _read_storage_class(raw, name, entry) for name, entry in (body.get("storageClasses") or {}).items()
        },
        default_pool=body.get("defaultPool", default.default_pool),
        pod_network=read_pod_network(raw),
        user_network=is_session(body),
        allowed_bridges=tuple(body.get("allowedBridges") or ()),
        allowed_interfaces=tuple(body.get("allowedInterfaces") or ()),
        default_machine=body.get("defaultMachine", default.default_machine),
        blast_radius=BlastRadius(
            few=blast.get("few", default.blast_radius.few),
            share=float(blast.get("share", default.blast_radius.share)),
            many=blast.get("many", default.blast_radius.many),
            window_s=read_duration_s(raw, "blastRadius.window", default=default.blast_radius.window_s),
        ),
        trash_expire_after_s=_read_expiry(raw),
        sources=tuple(source.origin for source in read_sources(raw)),
    )


def _read_prunable_kinds(raw: RawSettings, cluster: Mapping[str, Any]) -> frozenset[str]:
    """Raises SettingsError for a kind that is never pruned."""
    kinds = cluster.get("pruneKinds", PRUNED_KINDS)
    never = [kind for kind in kinds if NEVER_PRUNED.match(kind)]
    if never:
        place = raw.place(["engine", "kubevirt", "pruneKinds"])
        raise SettingsError(f"{place}: {', '.join(never)}: deleting these takes other things with them; take them out.")
    return frozenset(kinds)


def _read_storage_class(raw: RawSettings, name: str, entry: Mapping[str, Any]) -> StorageClassPolicy:
    """Raises SettingsError for an encrypted class of raw volumes, and for a passphrase in the state directory."""
    passphrase_file = (entry.get("encryption") or {}).get("passphraseFile", "")
    place = raw.place(["storageClasses", name, "encryption"])
    if passphrase_file and entry.get("format") == "raw":
        raise SettingsError(f"{place}: storageClasses.{name}: an encrypted class holds qcow2 volumes; take format out.")
    state = raw.body.get("stateDirectory")
    if passphrase_file and state and Path(passphrase_file).is_relative_to(state):
        raise SettingsError(f"{place}: storageClasses.{name}: passphraseFile lies in stateDirectory; put it elsewhere.")
    return StorageClassPolicy(pool=entry["pool"], format=entry.get("format", ""), passphrase_file=passphrase_file)


def _read_expiry(raw: RawSettings) -> float | None:
    """Raises SettingsError for a time so short that it must be a slip."""
    path = "trash.expireAfter"
    if value_at(raw, path) is None:
        return None
    seconds = read_duration_s(raw, path, default=0.0)
    if seconds < SHORTEST_EXPIRY_S:
        place = raw.place(path.split("."))
        raise SettingsError(
            f"{place}: {path} must be at least {format_duration(SHORTEST_EXPIRY_S)}; it destroys disks."
        )
    return seconds


def policy_as_file(policy: Policy) -> dict[str, Any]:
    """The settings as the file would say them."""
    expiry_s = policy.trash_expire_after_s
    return {
        "owner": policy.owner,
        "storageClasses": {
            name: {
                "pool": entry.pool,
                **({"format": entry.format} if entry.format else {}),
                **({"encryption": {"passphraseFile": entry.passphrase_file}} if entry.passphrase_file else {}),
            }
            for name, entry in policy.storage_classes.items()
        },
        "defaultPool": policy.default_pool,
        "podNetwork": pod_network_as_file(policy.pod_network),
        "allowedBridges": list(policy.allowed_bridges),
        "allowedInterfaces": list(policy.allowed_interfaces),
        "hostName": policy.host,
        "hostLabels": dict(policy.host_labels),
        **({"mode": str(policy.mode)} if policy.mode else {}),
        "namespaceModes": {name: str(mode) for name, mode in policy.namespace_modes.items()},
        "defaultNamespace": policy.default_namespace,
        "defaultMachine": policy.default_machine,
        "identitySeed": policy.identity_seed,
        "blastRadius": {
            "few": policy.blast_radius.few,
            "share": policy.blast_radius.share,
            "many": policy.blast_radius.many,
            "window": format_duration(policy.blast_radius.window_s),
        },
        **({"trash": {"expireAfter": format_duration(expiry_s)}} if expiry_s is not None else {}),
    }
