"""What works on files alone: neither daemon nor hypervisor, and for a directory no repository either."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from reconciler.daemon.cycle_secrets import SecretFiles
from reconciler.daemon.key import Digest
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.foreign_kinds import served
from reconciler.manifests.load import LoadedFile, load_blob
from reconciler.model.declared import Declared
from reconciler.model.declared import Reading as SourceReading
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, Observation
from reconciler.model.policy import Policy, StorageClassPolicy
from reconciler.model.problem import Place, Problem, Severity, in_order
from reconciler.model.problem_codes import problem
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.resolve import resolve
from reconciler.planning.resolve_volume import CLAIM_KINDS
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


def read_manifests(arguments: Sequence[str], *, engine: Engine, policy: Policy, secrets: SecretFiles) -> Reading:
    """Everything that files, directories, ``REPO@REV`` and ``-`` hold, checked as one set.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    files: list[LoadedFile] = []
    refused: list[Problem] = []
    commits: list[str] = []
    seen: set[str] = set()
    for argument in arguments:
        found = open_input(argument)
        if found.revision is not None:
            commits.append(found.revision.commit)
        refused += [
            Problem(code="file-refused", severity=Severity.ERROR, place=Place(name), message=reason)
            for name, reason in found.refused
        ]
        for name, read in found.files:
            # A directory and a file in it may both be named; a revision's files are others than those of the directory.
            place = os.path.realpath(name) if found.revision is None else f"{found.revision.commit}:{name}"
            if place not in seen:
                seen.add(place)
                files.append(load_blob(read(), name, default_namespace=policy.default_namespace))
    revision = commits[0] if len(commits) == 1 and len(arguments) == 1 else ""
    secrets.look()
    on_host = secrets.on_host()
    together = DeclaredSet(served(engine.check, engine.is_platform), is_open=engine.is_platform)
    together.update((), (*map(secrets.opened, files), *on_host.files))
    declared = together.declared({"": SourceReading(revision=revision, complete=not refused)})
    problems = in_order((*together.problems, *refused, *on_host.problems))
    return Reading(declared=declared, problems=problems, files=len(files))


def with_host_problems(reading: Reading, *, policy: Policy, digest: Digest) -> Reading:
    """The same with the problems that only show when objects are joined for a host with these settings: classes without
    a pool, derived MACs that collide, a Secret that lacks what cloud-init needs.
    """
    desired = resolve(reading.declared, _empty(policy), policy=policy, digest=digest)
    known = {found.object for found in reading.problems if found.severity is Severity.ERROR}
    incomplete = [
        problem("reference-incomplete", reading.declared.documents[key].place(), reason, object=key)
        for key, (reason, lacks) in desired.blocked.items()
        if key not in known and known.isdisjoint(lacks) and not any(lack in desired.invalid for lack in lacks)
    ]
    return replace(reading, problems=in_order((*reading.problems, *desired.trouble.values(), *incomplete)))


def assume_classes(declared: Iterable[Declared], policy: Policy) -> Policy:
    """The policy of a host that is not known: every storage class that a claim names is taken to be there, in a pool of
    its own name.
    """
    named = {
        str(name)
        for one in declared
        for document in one.documents.values()
        if document.key.kind in CLAIM_KINDS
        for claim in (document.spec, document.spec.get("storage"), document.spec.get("pvc"))
        if isinstance(claim, Mapping) and (name := claim.get("storageClassName"))
    }
    named |= {key.name for one in declared for key in one.documents if key.kind == "StorageClass"}
    return replace(policy, storage_classes={name: StorageClassPolicy(pool=name) for name in sorted(named)})


def _empty(policy: Policy) -> Observation:
    """A host of these settings with nothing on it."""
    return Observation(taken_at=_EPOCH, host=HostFacts(hostname=policy.host, labels=policy.host_labels), objects={})


def descriptions(
    reading: Reading, *, engine: Engine, policy: Policy, digest: Digest
) -> tuple[dict[ObjectKey, str], dict[ObjectKey, str]]:
    """What each VM would be on the engine (domain XML for libvirt), and why some can not be."""
    desired = resolve(reading.declared, _empty(policy), policy=policy, digest=digest)
    texts = {
        key: engine.describe(resolved) for key, resolved in desired.objects.items() if isinstance(resolved, ResolvedVm)
    }
    faults = {**desired.invalid, **{key: reason for key, (reason, _) in desired.blocked.items()}}
    return texts, {key: reason for key, reason in sorted(faults.items()) if key.kind == "VirtualMachine"}
