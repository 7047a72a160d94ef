"""Which domain is which VM: by its name for those that gitvirt made, by its marks for those that it adopted."""

from __future__ import annotations

import threading

from nodeexec.libvirt.naming import domain_name, key_of_domain
from reconciler.model.keys import ObjectKey


class DomainNames:
    """Both ways. What is known of adopted domains is noted whenever one is read; ``complete`` says that all were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, ObjectKey] = {}
        self._names: dict[ObjectKey, str] = {}
        self.complete = False

    def note(self, name: str, key: ObjectKey | None) -> None:
        """The domain of that name is the adopted VM ``key``; None: it is none."""
        if self._keys.get(name) == key:
            return
        with self._lock:
            old = self._keys.pop(name, None)
            if old is not None and self._names.get(old) == name:
                del self._names[old]
            if key is not None:
                self._keys[name] = key
                self._names[key] = name

    def name(self, key: ObjectKey) -> str:
        """The domain of a VM, whether it is there or not."""
        return self._names.get(key) or domain_name(key)

    def key(self, name: str) -> ObjectKey | None:
        """The VM that a domain is; None for a domain that is none of gitvirt's by name or marks."""
        return self._keys.get(name) or key_of_domain(name)
