"""The part of the composition root for `gitvirt export`: an engine and nothing else, so that it works on a host that has no
repository yet. What it needs is loaded when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """Domains as manifests: as one ``text``, and as ``files`` (name → text). ``whole`` says of each domain whether its
    manifests are that very domain, but for what stays as it was found.
    """

    text: str
    files: Mapping[str, str]
    whole: Mapping[str, bool]


def export_domains(settings: Settings, names: Sequence[str], namespace: str) -> Exports:
    """Domains of this host as manifests; without ``names`` all that nobody owns.

    Raises:
        EngineError: the host cannot be read, or has no such domain.
        RequirementError: the engine's library is missing.
    """
    from reconciler.daemon.clock import SystemClock
    from reconciler.daemon.exporting import export, files_of, text_of
    from reconciler.daemon.key import numbering_digest
    from reconciler.daemon.threads import ThreadWorkers
    from reconciler.wiring import keep_quiet
    from reconciler.wiring_engines import engine_choice

    keep_quiet()
    clock = SystemClock()
    engine = engine_choice(settings).open(settings, clock, ThreadWorkers(1))
    try:
        exports = export(
            engine,
            tuple(names) or engine.observe(None).foreign_vms,
            namespace=namespace or settings.policy.default_namespace,
            policy=settings.policy,
            digest=numbering_digest(),
            now=clock.now(),
        )
    finally:
        engine.close()
    whole = {entry.name: entry.is_whole for entry in exports}
    return Exports(text=text_of(exports), files=files_of(exports), whole=whole)
