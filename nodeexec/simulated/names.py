"""What things are called on the simulated host, and which object a name stands for. VMs and claims are in ``state.py``."""

from __future__ import annotations

from nodeexec.simulated.state import HostVolume, VolumePlace, domain_name
from reconciler.model.keys import ATTACHED_VOLUME, POD_NETWORK, ObjectKey

POD_NETWORK_NAME = "gitvirt-pod"


def copy_name(place: VolumePlace) -> str:
    """What the background work that fills a volume is called."""
    return f"copy {place[0]}/{place[1]}"


def reference(key: ObjectKey) -> str:
    """How an `InterfaceSpec` names a network."""
    return str(POD_NETWORK) if key == POD_NETWORK else f"{key.namespace}/{key.name}"


def network_name(key: ObjectKey) -> str:
    """The name of a network on the host."""
    return POD_NETWORK_NAME if key == POD_NETWORK else domain_name(key)


def volume_key(volume: HostVolume) -> ObjectKey:
    """The object that an owned volume belongs to."""
    namespace, _, name = volume.name.rpartition(".")[0].partition("_")
    return ObjectKey(volume.kind, namespace, name)


def left_behind_key(volume: HostVolume) -> ObjectKey:
    """What a generated volume is called once its domain is gone."""
    return ObjectKey(ATTACHED_VOLUME, volume.attached_to.namespace if volume.attached_to else "", volume.name)
