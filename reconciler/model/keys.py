"""How gitvirt names an object, everywhere the same."""

from __future__ import annotations

from typing import NamedTuple

CLUSTER_SCOPED_KINDS = frozenset(
    {
        "Namespace",
        "StorageClass",
        "PodNetwork",
        "VirtualMachineClusterInstancetype.instancetype.kubevirt.io",
        "VirtualMachineClusterPreference.instancetype.kubevirt.io",
    }
)
"""Kinds without a namespace. ``PodNetwork`` is gitvirt's own: the one network behind every ``pod: {}``."""

TRASH_ITEM = "TrashItem"
"""gitvirt's own kind of what was deleted and can come back; its name is the item's."""


class ObjectKey(NamedTuple):
    """Identity of an object: kind, namespace (empty for a cluster-scoped kind) and name.

    A kind that gitvirt does not know itself carries its API group (``Service.serving.example.org``), so that two
    kinds of one name never meet. A tuple, because everything is looked up by keys: those are hashed and compared without a
    line of Python. Written as JSON it would be a list: say ``str(key)`` there.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """``Kind/namespace/name``, or ``Kind/name`` for a cluster-scoped kind."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ObjectKey:
        """Read what ``str`` wrote.

        Raises:
            ValueError: the text does not have two or three parts.
        """
        match text.split("/"):
            case [kind, namespace, name]:
                return cls(kind, namespace, name)
            case [kind, name]:
                return cls(kind, "", name)
        raise ValueError(f"{text!r} is not Kind/namespace/name")


ATTACHED_VOLUME = "AttachedVolume"
"""Kind, gitvirt's own, of a volume that was generated for a VM (a seed ISO, a scratch disk) and is named by no domain any more;
the name is the volume's on the host.
"""

POD_NETWORK = ObjectKey("PodNetwork", "", "pod")
"""The NAT network with DHCP and DNS that ``pod: {}`` stands for on one host."""
