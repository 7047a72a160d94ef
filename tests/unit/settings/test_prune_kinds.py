"""Which kinds may be pruned on a cluster, and which never, whatever the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.errors import SettingsError
from reconciler.settings import load_settings

NEVER = (
    "Namespace",
    "Node",
    "StorageClass.storage.k8s.io",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition.apiextensions.k8s.io",
    "APIService.apiregistration.k8s.io",
    "VolumeSnapshot.snapshot.storage.k8s.io",
    "VolumeSnapshotContent.snapshot.storage.k8s.io",
    "VolumeSnapshotClass.snapshot.storage.k8s.io",
    "VolumeGroupSnapshot.groupsnapshot.storage.k8s.io",
    "VolumeGroupSnapshotContent.groupsnapshot.storage.k8s.io",
    "VirtualMachine",
    "VirtualMachineInstance",
    "VirtualMachineInstanceReplicaSet.kubevirt.io",
    "VirtualMachinePool.pool.kubevirt.io",
    "VirtualMachineSnapshot.snapshot.kubevirt.io",
    "VirtualMachineSnapshotContent.snapshot.kubevirt.io",
    "VirtualMachineRestore.snapshot.kubevirt.io",
    "VirtualMachineExport.export.kubevirt.io",
    "VirtualMachineClone.clone.kubevirt.io",
    "VirtualMachineBackup.backup.kubevirt.io",
    "KubeVirt.kubevirt.io",
    "CDI.cdi.kubevirt.io",
    "DataVolume",
    "DataImportCron.cdi.kubevirt.io",
    "DataSource.cdi.kubevirt.io",
    "StorageProfile.cdi.kubevirt.io",
)


def write(directory: Path, kinds: str) -> Path:
    path = directory / "settings.yaml"
    path.write_text(f"source: {{url: /srv/vms.git}}\nengine:\n  kubevirt:\n    pruneKinds: {kinds}\n")
    return path


@pytest.mark.parametrize("kind", [*NEVER, *sorted({name.partition(".")[0] for name in NEVER})])
def test_kinds_that_take_others_with_them_are_refused_at_their_line(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, f"[ConfigMap, {kind}]")
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    assert f"{path}:4:" in str(refused.value)
    assert kind in str(refused.value)
    assert "ConfigMap" not in str(refused.value)


def test_others_may_be_listed_and_two_are_without_asking(tmp_path: Path) -> None:
    kinds = "[Service, NetworkPolicy.networking.k8s.io, VirtualMachineInstancetype.instancetype.kubevirt.io]"
    policy = load_settings(write(tmp_path, kinds)).policy
    assert policy.prunable_kinds == set(kinds.strip("[]").split(", "))
    assert load_settings(write(tmp_path, "[]")).policy.prunable_kinds == frozenset()
    path = tmp_path / "usual.yaml"
    path.write_text("source: {url: /srv/vms.git}\nengine: {kubevirt: {}}\n")
    assert load_settings(path).policy.prunable_kinds == {"ConfigMap", "Secret"}
