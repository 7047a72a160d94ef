"""A cluster that lacks a kind: one clear problem for the objects that need it, and no restart when it comes."""

from __future__ import annotations

import pytest

from nodeexec.kubevirt import watch
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectState
from tests.cluster.hands import wait_until
from tests.cluster.living import Living
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite

DEFINITION = "network-attachment-definitions.k8s.cni.cncf.io"
SERVED = "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"
TEXT = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan, namespace: NAMESPACE}
spec: {config: '{"cniVersion": "0.3.1", "type": "bridge"}'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: notes, namespace: NAMESPACE}
data: {a: b}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: plugged, namespace: NAMESPACE}
spec:
  runStrategy: Halted
  template:
    spec:
      domain:
        memory: {guest: 64Mi}
        devices: {disks: [], interfaces: [{name: lan, bridge: {}}]}
      networks: [{name: lan, multus: {networkName: lan}}]
      volumes: []
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: alone, namespace: NAMESPACE}
spec:
  runStrategy: Halted
  template:
    spec:
      domain: {memory: {guest: 64Mi}, devices: {disks: []}}
      networks: []
      volumes: []
---
apiVersion: x.example.org/v1
kind: Thing
metadata: {name: thing, namespace: NAMESPACE}
spec: {size: 1}
"""
THING = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.x.example.org"},
    "spec": {
        "group": "x.example.org",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_what_needs_a_kind_that_is_not_there_says_so_and_heals_when_it_comes(
    cluster: Cluster, real_site: ClusterSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cluster.plane is None:
        pytest.skip("the cluster is somebody's: its kinds are not taken away")
    monkeypatch.setattr(watch, "LONGEST_DELAY_S", 0.5)
    site = real_site
    site.hands.remove_definition(DEFINITION, SERVED)
    engine = site.another_engine()
    try:
        living = Living(engine, site.policy)
        report = living.commit(TEXT.replace("NAMESPACE", site.namespace))
        lan, plugged, alone, notes, thing = (
            ObjectKey(kind, site.namespace, name)
            for kind, name in (
                ("NetworkAttachmentDefinition", "lan"),
                ("VirtualMachine", "plugged"),
                ("VirtualMachine", "alone"),
                ("ConfigMap", "notes"),
                ("Thing.x.example.org", "thing"),
            )
        )
        assert {done.change.key for done in report.record.applied} == {alone, notes}
        assert living.status(lan).state is ObjectState.BLOCKED
        said = "the cluster has no kind NetworkAttachmentDefinition (k8s.cni.cncf.io/v1): install Multus in the cluster"
        assert living.status(lan).message == said
        assert living.status(plugged).message == f"waits for {lan}"
        assert "the cluster has no kind Thing (x.example.org)" in living.status(thing).message
        assert living.status(alone).state is ObjectState.READY
        site.hands.install_definitions()
        site.hands.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", THING)
        wait_until(lambda: not living.turn().blocked, "all kinds are served", limit_s=60.0)
        assert {living.status(key).state for key in (lan, plugged, thing)} == {ObjectState.READY}
        assert living.cycle.run(Wake(everything=True)).plan == living.cycle.plan_now()
    finally:
        engine.close()
        site.hands.install_definitions()
        site.hands.remove_definition("things.x.example.org", "/apis/x.example.org/v1/things")
