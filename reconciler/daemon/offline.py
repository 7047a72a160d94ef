"""What works on files alone: neither daemon nor hypervisor, and for a directory no repository either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.daemon.cycle_declared import EngineChecks, declare
from reconciler.daemon.key import Digest
from reconciler.manifests.load import LoadedFile, load_blob
from reconciler.model.declared import Declared
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, Observation
from reconciler.model.policy import Policy
from reconciler.model.problem import Place, Problem, Severity
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.resolve import resolve
from reconciler.ports import Engine
from reconciler.source.local import open_input

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Manifests from arguments: what they declare together, and every problem. ``files`` is how many were read."""

    declared: Declared
    problems: tuple[Problem, ...]
    files: int

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(1 for problem in self.problems if problem.severity is Severity.ERROR)


def read_manifests(arguments: Sequence[str], *, engine: Engine, policy: Policy) -> Reading:
    """Everything that files, directories, ``REPO@REV`` and ``-`` hold, checked as one set.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    files: list[LoadedFile] = []
    refused: list[Problem] = []
    commits: list[str] = []
    for argument in arguments:
        found = open_input(argument)
        if found.revision is not None:
            commits.append(found.revision.commit)
        refused += [
            Problem(code="file-refused", severity=Severity.ERROR, place=Place(name), message=reason)
            for name, reason in found.refused
        ]
        for name, read in found.files:
            files.append(load_blob(read(), name, default_namespace=policy.default_namespace))
    revision = commits[0] if len(commits) == 1 and len(arguments) == 1 else ""
    declared, problems = declare(revision, files, EngineChecks(engine), refused=tuple(refused))
    return Reading(declared=declared, problems=problems, files=len(files))


def descriptions(
    reading: Reading, *, engine: Engine, policy: Policy, digest: Digest
) -> tuple[dict[ObjectKey, str], dict[ObjectKey, str]]:
    """What each VM would be on the engine (domain XML for libvirt), and why some can not be."""
    host = HostFacts(hostname=policy.host, labels=policy.host_labels)
    observation = Observation(taken_at=_EPOCH, host=host, objects={})
    desired = resolve(reading.declared, observation, policy=policy, digest=digest)
    texts = {
        key: engine.describe(resolved) for key, resolved in desired.objects.items() if isinstance(resolved, ResolvedVm)
    }
    faults = {**desired.invalid, **{key: reason for key, (reason, _) in desired.blocked.items()}}
    return texts, {key: reason for key, reason in sorted(faults.items()) if key.kind == "VirtualMachine"}
