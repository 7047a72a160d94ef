"""A claim that is there before its DataVolume: the disk that somebody uploaded, or a stranger with its name."""

from __future__ import annotations

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME
from reconciler.model.keys import ObjectKey
from reconciler.model.status import ObjectState
from tests.cluster.hands import wait_until
from tests.cluster.living import Living
from tests.cluster.site import ClusterSite

FILLED = "cdi.kubevirt.io/storage.populatedFor"
TEXT = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: root, namespace: NAMESPACE}
spec:
  source: {http: {url: "http://images.example.org/a.qcow2"}}
  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def test_a_claim_is_its_data_volume_s_once_it_says_so(site: ClusterSite) -> None:
    key = ObjectKey(DATA_VOLUME, site.namespace, "root")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "root", "namespace": site.namespace}
    made = site.hands.create({"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": spec})
    living = Living(site.engine, site.policy)
    living.commit(TEXT.replace("NAMESPACE", site.namespace))
    blocked = living.status(key)
    assert blocked.state is ObjectState.BLOCKED
    assert f"`gitvirt adopt --kind dv {site.namespace}/root`" in blocked.message
    assert site.hands.get(DATA_VOLUME, site.namespace, "root") is None
    site.hands.patch(CLAIM, site.namespace, "root", {"metadata": {"annotations": {FILLED: "root"}}})
    wait_until(lambda: living.turn() and site.hands.get(DATA_VOLUME, site.namespace, "root"), "it is made")
    kept = site.hands.get(CLAIM, site.namespace, "root")
    assert kept is not None
    assert (kept["metadata"]["uid"], "gitvirt.io/owner" in kept["metadata"].get("labels", {})) == (
        made["metadata"]["uid"], False,
    )  # fmt: skip
