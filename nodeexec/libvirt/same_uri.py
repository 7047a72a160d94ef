"""Which connection URIs lead to the same libvirt. Pure: by what stands in them."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qs, urlsplit

_USUAL_SOCKETS = frozenset(
    f"/run/libvirt/{daemon}-sock{access}" for daemon in ("libvirt", "virtqemud") for access in ("", "-ro")
)
_LOOPBACK = frozenset({"", "localhost", "localhost.localdomain", "127.0.0.1", "::1"})


def canonical_uri(uri: str, host_names: Collection[str] = ()) -> str:
    """One spelling for all ways to the same libvirt: ``qemu:///system`` for ``qemu+unix:///system``,
    ``qemu+ssh://root@localhost/system`` and their like. ``host_names`` are what this host is called.

    How one gets there (transport, user, port, keys) makes no other libvirt; a socket of its own, or another root of an
    embedded one, does.

    *Source*: libvirt's documentation of connection URIs and of remote parameters.
    """
    try:
        parts = urlsplit(uri)
        host = (parts.hostname or "").lower()
    except ValueError:
        return uri
    driver = parts.scheme.partition("+")[0]
    if not driver or not parts.path:
        return uri
    here = host in _LOOPBACK or host in {name.lower() for name in host_names}
    given = parse_qs(parts.query)
    kept = []
    socket = _last(given, "socket").replace("/var/run/", "/run/", 1)
    if socket and socket not in _USUAL_SOCKETS:
        kept.append(f"socket={socket}")
    if root := _last(given, "root"):
        kept.append(f"root={root.rstrip('/')}")
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{driver}://{'' if here else host}{parts.path.rstrip('/')}{query}"


def is_for_one_user(uri: str) -> bool:
    """Whether each user has a libvirt of his own behind this URI."""
    path = urlsplit(uri).path.rstrip("/")
    return path in ("/session", "/embed") or uri.startswith("test:")


def _last(given: dict[str, list[str]], name: str) -> str:
    return given.get(name, [""])[-1]
