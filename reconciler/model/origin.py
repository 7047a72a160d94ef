"""Where documents come from, as decisions see it: a source of the settings without its URL."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.keys import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One source that the settings follow.

    ``name`` is that of an entry of ``sources``, empty for the one ``source``. ``identity`` is what marks remember: name,
    ref and path, whatever the URL. ``namespaces`` are those it may declare objects in, None for all of them and for
    objects without a namespace.
    """

    name: str = ""
    identity: str = ""
    namespaces: tuple[str, ...] | None = None

    def may_declare(self, key: ObjectKey) -> bool:
        """Whether an object of this source counts."""
        return self.namespaces is None or key.namespace in self.namespaces

    def shown(self, path: str) -> str:
        """A file of this source, as problems name it."""
        return f"{self.name}:{path}" if self.name else path
