"""`NetworkSpec` to libvirt network XML and back."""

from __future__ import annotations

from reconciler.model.resolved import NetworkSpec


def build(spec: NetworkSpec, name: str, *, metadata: str = "") -> str:
    """The network XML to define. ``name`` is `naming.network_name`, ``metadata`` the element of `marks.to_metadata`.
    UUID, bridge name and the bridge's MAC follow from the name.
    """
    raise NotImplementedError


def parse(xml: str) -> NetworkSpec:
    """Read a network's XML. A bridge that is named as `build` would name it reads as empty.

    Raises:
        ValueError: it is no network's XML.
    """
    raise NotImplementedError
