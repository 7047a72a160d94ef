"""Secrets that an administrator keeps on the host, outside of every repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.keys import ObjectKey
from reconciler.model.problem import Problem
from reconciler.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSecret:
    """One Secret of the host. ``data`` is its entries by name; ``directory`` is where it lies; ``problems`` make it invalid:
    then it counts as present, and what uses it stays as it is.
    """

    key: ObjectKey
    directory: str
    data: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSecrets:
    """One reading of what the host keeps. ``identities`` are age identities; ``problems`` are those of no one Secret.

    ``version`` is another number whenever anything in it changed; it says nothing of the values. Numbers count up while
    the process lives, so that equal numbers of one store mean equal readings.
    """

    secrets: tuple[HostSecret, ...] = ()
    identities: tuple[Secret, ...] = ()
    problems: tuple[Problem, ...] = ()
    version: int = 0


NO_HOST_SECRETS = HostSecrets()
