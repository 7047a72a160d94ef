"""The kinds that the engine understands, and where an API server serves them.

*Source*: the API references of Kubernetes, KubeVirt, CDI and Multus.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.instancetype import GROUP
from reconciler.model.keys import ObjectKey

VM = "VirtualMachine"
INSTANCE = "VirtualMachineInstance"
DATA_VOLUME = "DataVolume"
CLAIM = "PersistentVolumeClaim"
NETWORK = "NetworkAttachmentDefinition"
CLAIM_KINDS = (CLAIM, DATA_VOLUME)
SNAPSHOT = "VirtualMachineSnapshot.snapshot.kubevirt.io"
POOL = "VirtualMachinePool.pool.kubevirt.io"
KEPT = (SNAPSHOT, POOL)
"""Of these gitvirt shows what is left of its own also when no manifest declares any: none of them is ever pruned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind as it is served. ``name`` is its kind in an `ObjectKey`, ``kind`` in a document. ``needs`` is what brings it to a cluster, for people.
    ``optional`` kinds only add to what is shown: not to be allowed to read them is no gap.
    """

    name: str
    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True
    needs: str = ""
    optional: bool = False

    @property
    def api_version(self) -> str:
        """As a document says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As RBAC and messages say it (``virtualmachines.kubevirt.io``)."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of the collection (in one namespace, or of all), or of one object."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{base}{where}/{self.plural}" + (f"/{name}" if name else "")

    def object_path(self, key: ObjectKey) -> str:
        """The URL path of one object."""
        return self.path(key.namespace, key.name)

    def name_of(self, key: ObjectKey) -> tuple[str, str]:
        """(namespace, name) of an object as it is served: an `ObjectKey` of a kind that gitvirt does not know always has a namespace."""
        return (key.namespace if self.namespaced else ""), key.name


def _kind(
    name: str, api_version: str, plural: str, *, namespaced: bool = True, needs: str = "", optional: bool = False
) -> Kind:
    group, _, version = api_version.rpartition("/")
    return Kind(
        name=name, kind=name.partition(".")[0], group=group, version=version, plural=plural, namespaced=namespaced,
        needs=needs, optional=optional,
    )  # fmt: skip


UNDERSTOOD: tuple[Kind, ...] = (
    _kind(VM, "kubevirt.io/v1", "virtualmachines", needs="KubeVirt"),
    _kind(INSTANCE, "kubevirt.io/v1", "virtualmachineinstances", needs="KubeVirt"),
    _kind(DATA_VOLUME, "cdi.kubevirt.io/v1beta1", "datavolumes", needs="CDI"),
    _kind(CLAIM, "v1", "persistentvolumeclaims"),
    _kind(NETWORK, "k8s.cni.cncf.io/v1", "network-attachment-definitions", needs="Multus"),
    *(
        _kind(
            f"VirtualMachine{scope}{what}.{GROUP}",
            f"{GROUP}/v1beta1",
            f"virtualmachine{scope}{what}s".lower(),
            namespaced=not scope,
            needs="KubeVirt",
            optional=True,
        )
        for scope in ("", "Cluster")
        for what in ("Instancetype", "Preference")
    ),
)
"""Watched as a whole, because what is foreign among them matters too."""

PLAIN: tuple[Kind, ...] = (
    _kind("Secret", "v1", "secrets"),
    _kind("ConfigMap", "v1", "configmaps"),
    _kind("Namespace", "v1", "namespaces", namespaced=False),
    _kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
)
"""Known to be served everywhere; watched by the owner's label. All other kinds are found by discovery."""

KINDS = {kind.name: kind for kind in (*UNDERSTOOD, *PLAIN)}


def not_served(name: str, api_version: str, needs: str) -> str:
    """What to say of a kind that the cluster does not have; ``needs`` is what brings it, empty where nobody knows."""
    hint = f"install {needs} in the cluster" if needs else "install what serves it, or take it out of the repository"
    return f"the cluster has no kind {name.partition('.')[0]} ({api_version}): {hint}"
