"""What an API server's refusals mean."""

from __future__ import annotations

import pytest

from nodeexec.kubevirt.errors import Request, UnreachableError, api_error
from reconciler.model.outcome import Result

REQUEST = Request(verb="patch", resource="virtualmachines.kubevirt.io", object="prod/web")


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (401, Result.RETRY),
        (403, Result.RETRY),
        (404, Result.CONFLICT),
        (409, Result.CONFLICT),
        (410, Result.CONFLICT),
        (422, Result.FAILED),
        (429, Result.RETRY),
        (500, Result.RETRY),
        (503, Result.RETRY),
    ],
)
def test_each_status_has_its_outcome(status: int, result: Result) -> None:
    outcome = api_error(REQUEST, status, {"message": "no"}, None).outcome
    assert outcome.result is result
    assert "virtualmachines.kubevirt.io" in outcome.reason


def test_a_denial_names_the_verb_and_the_resource() -> None:
    reason = api_error(REQUEST, 403, {"message": "user x cannot patch"}, None).outcome.reason
    assert "may not patch virtualmachines.kubevirt.io" in reason
    assert "Role" in reason


def test_the_server_says_when_to_come_again() -> None:
    assert api_error(REQUEST, 429, {"message": "slow down"}, "7").outcome.retry_after_s == 7.0
    assert api_error(REQUEST, 503, {"details": {"retryAfterSeconds": 3}}, None).outcome.retry_after_s == 3.0
    assert api_error(REQUEST, 503, "<html>", "soon").outcome.retry_after_s == 5.0


def test_a_conflict_of_managers_names_them() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit" using v1', "field": ".spec.running"}
    ]
    outcome = api_error(REQUEST, 409, {"message": "conflict", "details": {"causes": causes}}, None).outcome
    assert outcome.result is Result.FAILED
    assert "spec.running (set by kubectl-edit)" in outcome.reason


def test_a_lost_answer_is_unknown_and_a_request_that_was_never_sent_is_not() -> None:
    assert UnreachableError(REQUEST, "timed out", sent=True).outcome.result is Result.UNKNOWN
    assert UnreachableError(REQUEST, "refused", sent=False).outcome.result is Result.RETRY
