"""The part of the composition root for commands that work on files alone: neither daemon nor hypervisor nor, for a
directory, a repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.daemon.key import keyed_digest, load_key, numbering_digest
from reconciler.daemon.offline import Reading, descriptions, read_manifests
from reconciler.model.errors import RequirementError
from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.planning.offline import plan_between
from reconciler.planning.render import render_markdown, render_text
from reconciler.settings import Settings
from reconciler.wiring_engines import engine_choice


def read_files(settings: Settings, arguments: Sequence[str]) -> Reading:
    """Manifests checked as one set, by the engine of the settings too. Needs no host.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    return read_manifests(arguments, engine=engine_choice(settings).pure(settings), policy=settings.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesPlan:
    """A plan between manifests: as plain data and as text; the problems of both sides, and how many are errors."""

    plan: Mapping[str, Any]
    text: str
    problems: tuple[Problem, ...]
    errors: int


def plan_files(settings: Settings, base: str | None, head: str, *, colour: bool, markdown: bool) -> FilesPlan:
    """What going from ``base`` (None: nothing) to ``head`` would do. Needs no host and no key: the same on every machine.

    Raises:
        SourceError: an argument names nothing that can be read.
    """
    engine = engine_choice(settings).pure(settings)
    before = read_manifests([base], engine=engine, policy=settings.policy) if base is not None else None
    after = read_manifests([head], engine=engine, policy=settings.policy)
    plan = plan_between(
        before.declared if before else None,
        after.declared,
        engine=engine,
        policy=settings.policy,
        digest=numbering_digest(),
    )
    return FilesPlan(
        plan=plan.to_dict(),
        text=render_markdown(plan) if markdown else render_text(plan, colour=colour),
        problems=after.problems,
        errors=after.errors,
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
    reading = read_manifests(arguments, engine=engine, policy=settings.policy)
    try:
        digest = keyed_digest(load_key(settings.key_file))
    except RequirementError:
        digest = numbering_digest()
    texts, faults = descriptions(reading, engine=engine, policy=settings.policy, digest=digest)
    return FilesDescription(texts=texts, faults=faults, problems=reading.problems, errors=reading.errors)
