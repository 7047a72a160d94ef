"""What an API server's refusals mean."""

from __future__ import annotations

import pytest

from nodeexec.kubevirt.errors import LONGEST_RETRY_S, Request, UnreachableError, api_error
from reconciler.model.outcome import Result

REQUEST = Request(verb="patch", resource="virtualmachines.kubevirt.io", object="prod/web")


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (401, Result.RETRY),
        (403, Result.FAILED),
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
    assert api_error(REQUEST, 503, "<html>", "soon").outcome.retry_after_s is None
    assert [api_error(REQUEST, 429, {}, text).outcome.retry_after_s for text in ("inf", "nan", "-3", "1e9")] == [
        LONGEST_RETRY_S, None, None, LONGEST_RETRY_S,
    ]  # fmt: skip


def test_an_action_that_nobody_serves_says_what_is_missing() -> None:
    stop = Request(verb="update", resource="virtualmachines.subresources.kubevirt.io/stop", object="prod/web")
    outcome = api_error(stop, 404, {"message": "404 page not found"}, None).outcome
    assert (outcome.result, "is virt-api up?" in outcome.reason) == (Result.RETRY, True)
    gone = {"message": 'virtualmachine "web" not found', "reason": "NotFound"}
    assert api_error(stop, 404, gone, None).outcome.result is Result.CONFLICT


FORBIDDEN = 'virtualmachines.kubevirt.io "web" is forbidden: '
NOT_YOURS = 'User "x" cannot create resource "virtualmachines" in API group "kubevirt.io" in the namespace "prod"'
OF_ALL = 'persistentvolumeclaims is forbidden: User "x" cannot list resource "persistentvolumeclaims" in API group "" at the cluster scope'
ACTION = 'User "x" cannot update resource "virtualmachines/stop" in API group "subresources.kubevirt.io" in the namespace "prod"'


@pytest.mark.parametrize(
    ("status", "message", "result", "words"),
    [
        (403, FORBIDDEN + NOT_YOURS, Result.FAILED, "may not create virtualmachines.kubevirt.io in namespace prod"),
        (403, OF_ALL, Result.FAILED, "may not list persistentvolumeclaims of the whole cluster"),
        (403, FORBIDDEN + ACTION, Result.FAILED, "may not update virtualmachines.subresources.kubevirt.io/stop in"),
        (403, FORBIDDEN + "exceeded quota: q, requested: count=1", Result.FAILED, "quota of the namespace leaves no room"),
        (403, FORBIDDEN + "unable to create new content in namespace prod because it is being terminated", Result.RETRY,
         "its namespace is being deleted"),
        (403, FORBIDDEN + "maximum memory per Pod is 1Gi", Result.FAILED, "maximum memory per Pod"),
        (404, 'namespaces "prod" not found', Result.RETRY, "there is no such namespace"),
        (500, 'Internal error occurred: failed calling webhook "vm.example.org": refused', Result.RETRY,
         "admission webhook vm.example.org does not answer"),
        (500, "failed to create typed patch object (/d; v1, Kind=X): .spec.foo: field not declared in schema",
         Result.FAILED, "spec.foo"),
        (500, "etcdserver: request is too large", Result.FAILED, "too large"),
        (500, "etcdserver: leader changed", Result.RETRY, "tried again"),
    ],
)  # fmt: skip
def test_what_the_server_s_words_mean(status: int, message: str, result: Result, words: str) -> None:
    outcome = api_error(REQUEST, status, {"message": message}, None).outcome
    assert outcome.result is result
    assert words in outcome.reason


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
