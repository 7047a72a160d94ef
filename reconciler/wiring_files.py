"""The part of the composition root for commands that work on files alone: neither daemon nor hypervisor nor, for a
directory, a repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.daemon.cycle_secrets import SecretFiles
from reconciler.daemon.key import keyed_digest, load_key, numbering_digest
from reconciler.daemon.offline import Reading, assume_classes, descriptions, read_manifests, with_host_problems
from reconciler.model.errors import RequirementError
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Policy
from reconciler.model.problem import Problem
from reconciler.planning.offline import plan_between
from reconciler.planning.render import render_markdown, render_text
from reconciler.reports.report import Report
from reconciler.secrets.host_store import HostStore
from reconciler.settings import Settings
from reconciler.wiring_engines import engine_choice


def read_files(settings: Settings, arguments: Sequence[str]) -> Reading:
    """Manifests checked as one set, by the engine and for the host of the settings too. Needs no host.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    reading = _read(settings, arguments)
    return with_host_problems(reading, policy=_policy(settings, reading), digest=numbering_digest())


def report_files(settings: Settings, arguments: Sequence[str]) -> Report:
    """The problems of manifests, for a report. Needs no host.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    reading = read_files(settings, arguments)
    declared = reading.declared
    files = {key: document.file for key, document in declared.documents.items() if key not in declared.template_owners}
    for problem in reading.problems:
        if problem.object is not None and problem.object in declared.invalid:
            files.setdefault(problem.object, problem.place.file)
    return Report(problems=reading.problems, objects=tuple(files.items()), files=reading.files)


def _read(settings: Settings, arguments: Sequence[str]) -> Reading:
    """Manifests with the secrets of the host of these settings, where it keeps any."""
    secrets = settings.secrets
    store = HostStore(secrets.directory, secrets.age_key_file)
    files = SecretFiles(store, settings.policy.default_namespace, has_keys=secrets.age_key_file is not None)
    engine = engine_choice(settings).pure(settings)
    return read_manifests(arguments, engine=engine, policy=settings.policy, secrets=files)


def _policy(settings: Settings, *readings: Reading | None) -> Policy:
    """The policy for manifests alone. Without settings there is no host whose storage classes could be missing."""
    if settings.origin != Settings().origin or settings.policy.storage_classes:
        return settings.policy
    return assume_classes([reading.declared for reading in readings if reading is not None], settings.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesPlan:
    """A plan between manifests: as plain data and as text; the problems of the head, how many are errors, and whether it
    holds no manifest at all.
    """

    plan: Mapping[str, Any]
    text: str
    problems: tuple[Problem, ...]
    errors: int
    is_empty: bool


def plan_files(settings: Settings, base: str | None, head: str, *, colour: bool, markdown: bool) -> FilesPlan:
    """What going from ``base`` (None: nothing) to ``head`` would do. Needs no host and no key: the same on every machine.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    engine = engine_choice(settings).pure(settings)
    before = _read(settings, [base]) if base is not None else None
    after = _read(settings, [head])
    policy = _policy(settings, before, after)
    after = with_host_problems(after, policy=policy, digest=numbering_digest())
    plan = plan_between(
        before.declared if before else None,
        after.declared,
        engine=engine,
        policy=policy,
        digest=numbering_digest(),
    )
    return FilesPlan(
        plan=plan.to_dict(),
        text=render_markdown(plan) if markdown else render_text(plan, colour=colour),
        problems=after.problems,
        errors=after.errors,
        is_empty=after.files == 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesDescription:
    """What VMs would be on the engine, and why some cannot be."""

    texts: Mapping[ObjectKey, str]
    faults: Mapping[ObjectKey, str]
    problems: tuple[Problem, ...]
    errors: int


def describe_files(settings: Settings, arguments: Sequence[str]) -> FilesDescription:
    """The VMs of manifests as the engine would make them. Uses the host's key where it may be read, so that generated
    names are the real ones.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    engine = engine_choice(settings).pure(settings)
    reading = _read(settings, arguments)
    policy = _policy(settings, reading)
    try:
        digest = keyed_digest(load_key(settings.key_file))
    except RequirementError:
        digest = numbering_digest()
    texts, faults = descriptions(reading, engine=engine, policy=policy, digest=digest)
    return FilesDescription(texts=texts, faults=faults, problems=reading.problems, errors=reading.errors)
