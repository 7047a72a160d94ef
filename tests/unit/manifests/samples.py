"""Manifests that tests start from, and short ways to load them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.manifests.joined import Joined
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
"""As written in the requirements, to the letter."""

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


def joined(files: Iterable[LoadedFile]) -> Joined:
    """Files as one set."""
    found = Joined()
    found.update((), files, holders={}, incomplete=False)
    return found


def assembled(*texts: str) -> Joined:
    """Each text in a file of its own: ``0.yaml``, ``1.yaml``, …"""
    return joined(load(text, file=f"{number}.yaml") for number, text in enumerate(texts))


def only(problems: tuple[Problem, ...]) -> Problem:
    """The one problem."""
    assert len(problems) == 1, [str(one) for one in problems]
    return problems[0]


def broken(base: str, old: str, new: str, code: str, path: str | None, roots: Mapping[str, str]) -> None:
    """One edit of a valid manifest breaks one rule, and the problem says where. ``path`` is below the root whose key it begins
    with, or a whole one; an empty ``code`` means that the edit is fine.
    """
    problems = load(edited(base, old, new)).problems
    if not code:
        assert problems == ()
        return
    found = next((one for one in problems if one.code == code), None)
    assert found is not None, [str(one) for one in problems]
    assert found.place.line > 1
    if path is not None and not path.startswith(("spec.", "metadata.")):
        path = next(root for start, root in roots.items() if path.startswith(start)) + path
    assert path in (None, found.path)
