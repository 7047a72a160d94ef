"""Manifests that tests start from, and short ways to load them."""

from __future__ import annotations

from reconciler.manifests.assemble import ManifestSet, assemble
from reconciler.manifests.load import LoadedFile, load_blob
from reconciler.model.problem import Problem

WEBSERVER = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: webserver-vm}
spec:
  running: true
  template:
    metadata: {labels: {kubevirt.io/domain: webserver-vm}}
    spec:
      domain:
        cpu: {cores: 2}
        devices:
          disks: [{name: rootdisk, disk: {bus: virtio}}]
          interfaces: [{name: default, bridge: {}}, {name: secondary-net, bridge: {}}]
        resources: {requests: {memory: 4Gi}}
      networks:
      - {name: default, pod: {}}
      - {name: secondary-net, multus: {networkName: multus-external-network}}
      volumes:
      - {name: rootdisk, persistentVolumeClaim: {claimName: webserver-pvc}}
"""
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: webserver-pvc}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 20Gi}}
"""
NETWORK = """\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: multus-external-network}
spec:
  config: '{"cniVersion": "1.0.0", "type": "bridge", "bridge": "br-ext", "ipam": {}}'
"""
DATA_VOLUME = """\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: root}
spec:
  source: {http: {url: http://files.example.org/guest.qcow2}}
  storage: {resources: {requests: {storage: 1Gi}}}
"""
SMALL = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: small}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {guest: 128Mi}
        devices: {}
"""


def edited(text: str, old: str, new: str) -> str:
    """``text`` with one change; fails when there is nothing to change."""
    assert old in text, old
    return text.replace(old, new, 1)


def load(*texts: str, file: str = "vm.yaml") -> LoadedFile:
    return load_blob("---\n".join(texts).encode(), file)


def assembled(*texts: str) -> ManifestSet:
    """Each text in a file of its own: ``0.yaml``, ``1.yaml``, …"""
    return assemble(load(text, file=f"{number}.yaml") for number, text in enumerate(texts))


def only(problems: tuple[Problem, ...]) -> Problem:
    """The one problem."""
    assert len(problems) == 1, [str(one) for one in problems]
    return problems[0]
