"""Records as a cycle makes them, and the git command to look at the journal."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Cause, Change, Difference, Impact
from reconciler.model.record import AppliedChange, CycleRecord
from reconciler.model.revision import Revision

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = ObjectKey("VirtualMachine", "default", "web")
REVISION = Revision(commit="a" * 40, author="Ada", email="ada@example.org", subject="Add web")
MEMORY = Difference(
    path="spec.template.spec.domain.memory.guest",
    before="2Gi",
    after="4Gi",
    impact=Impact.RESTART,
    reason="no hot-plug",
)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def applied(key: ObjectKey = WEB, result: Result = Result.APPLIED, said: str = "", **changes: Any) -> AppliedChange:
    values: dict[str, Any] = {
        "key": key,
        "action": Action.CREATE,
        "cause": Cause.COMMIT,
        "impact": Impact.NONE,
        "reason": "it is declared and not there",
        "expected": "",
        "revision": REVISION.commit,
        **changes,
    }
    return AppliedChange(
        change=Change(**values),
        outcome=Outcome(result=result, reason=said),
        started_at=NOW,
        ended_at=NOW + timedelta(milliseconds=412),
    )


def record(*done: AppliedChange, after_s: float = 0, **changes: Any) -> CycleRecord:
    at = NOW + timedelta(seconds=after_s)
    values: dict[str, Any] = {"started_at": at, "ended_at": at, "revisions": {"": REVISION}, "plan_id": "p1", **changes}
    return CycleRecord(applied=done, **values)


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(path), *arguments],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
