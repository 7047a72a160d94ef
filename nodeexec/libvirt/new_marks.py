"""Marks for what is made or changed now; what operators and earlier runs wrote is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from reconciler.model.live import Marks
from reconciler.model.packed import packed
from reconciler.model.policy import Policy
from reconciler.model.resolved import Resolved


def marks_for(wanted: Resolved, revision: str, old: Marks | None, *, policy: Policy, now: datetime) -> Marks:
    """The marks of an object that is now as ``wanted``. The revision stays when the document is the same: a corrected
    drift is no new revision.
    """
    applied = packed(wanted.applied)
    if old is None:
        return Marks(owner=policy.owner, host=policy.host, revision=revision, applied=applied, created_at=now)
    same = old.applied == applied
    return replace(
        old, owner=policy.owner, host=policy.host, applied=applied, revision=old.revision if same else revision
    )
