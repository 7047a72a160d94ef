"""Kinds around VMs on a cluster: instancetypes size them, references that nobody has are told, a migration shows."""

from __future__ import annotations

from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectState
from tests.cluster.hands import wait_until
from tests.cluster.living import Living
from tests.cluster.site import ClusterSite

SIZE = """
apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineInstancetype
metadata: {name: small, namespace: NAMESPACE}
spec: {cpu: {guest: 2}, memory: {guest: 4Gi}}
---
"""
VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web, namespace: NAMESPACE}
spec:
  runStrategy: Halted
  instancetype: {kind: VirtualMachineInstancetype, name: small}
  preference: {name: PREFERENCE}
  template: {spec: {domain: {devices: {disks: []}}, networks: [], volumes: []}}
"""
PREFERENCES = "/apis/instancetype.kubevirt.io/v1beta1/virtualmachineclusterpreferences"


def test_a_vm_is_shown_in_the_size_of_its_instancetype_and_a_lost_reference_until_it_is_there(
    real_site: ClusterSite,
) -> None:
    site = real_site
    preference = f"linux-{site.namespace}"
    text = (SIZE + VM).replace("NAMESPACE", site.namespace).replace("PREFERENCE", preference)
    vm = ObjectKey("VirtualMachine", site.namespace, "web")
    size = ObjectKey("VirtualMachineInstancetype.instancetype.kubevirt.io", site.namespace, "small")
    living = Living(site.engine, site.policy)
    report = living.commit(text)
    done = [one.change.key for one in report.record.applied if one.outcome.result == "applied"]
    assert done == [size, vm], "the VM comes after its instancetype"
    facts = living.status(vm).facts
    assert (facts["cpus"], facts["memory_mib"]) == ("2", "4096")
    assert f"{preference}, which neither the repository nor the cluster has" in living.status(vm).message
    body = {"apiVersion": "instancetype.kubevirt.io/v1beta1", "kind": "VirtualMachineClusterPreference"}
    site.hands.call("POST", PREFERENCES, {**body, "metadata": {"name": preference}, "spec": {}})
    try:
        wait_until(lambda: not living.turn().notes, "the preference is seen")
        assert living.status(vm).state is ObjectState.READY and living.status(vm).message == ""
    finally:
        site.hands.call("DELETE", f"{PREFERENCES}/{preference}")
    larger = living.commit(text.replace("guest: 2}", "guest: 3}"))
    (changed,) = larger.record.applied
    assert changed.change.key == size
    assert living.status(vm).facts["cpus"] == "3", "nothing that KubeVirt noted for it yet"
    left = living.commit(VM.replace("NAMESPACE", site.namespace).replace("PREFERENCE", preference))
    assert left.plan is not None and left.plan.changes == ()
    assert {note.code for note in left.plan.notes if note.key == size} == {"resource-kept"}


def test_a_migration_shows_while_it_is_under_way(real_site: ClusterSite) -> None:
    site = real_site
    text = VM.replace("NAMESPACE", site.namespace).replace("Halted", "Always")
    text = text.replace(
        "  instancetype: {kind: VirtualMachineInstancetype, name: small}\n  preference: {name: PREFERENCE}\n", ""
    )
    vm = ObjectKey("VirtualMachine", site.namespace, "web")
    living = Living(site.engine, site.policy)
    living.commit(text.replace("devices:", "memory: {guest: 64Mi}, devices:"))
    site.hands.run_instance(site.namespace, "web")
    move = {"sourceNode": "node-a", "targetNode": "node-b", "startTimestamp": "2026-01-01T00:00:00Z"}
    site.hands.set_status("VirtualMachineInstance", site.namespace, "web", {"migrationState": move})

    def told() -> str:
        living.turn()
        return living.status(vm).message

    wait_until(lambda: told() == "it migrates from node-a to node-b", "the migration is told")
    site.hands.set_status(
        "VirtualMachineInstance", site.namespace, "web", {"migrationState": {**move, "completed": True}}
    )
    wait_until(lambda: told() == "", "its end is told")
