"""What an API server's refusals mean, in our words: the one place that knows status codes.

*Source*: Kubernetes API conventions, ``Status`` objects and their reasons.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from reconciler.model.outcome import Outcome, Result

MISSING_RETRY_S = 60.0
LONGEST_RETRY_S = 300.0
"""Whatever a server asks for, it is looked at again after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked: an HTTP method or RBAC verb, of which resource, on which object."""

    verb: str
    resource: str
    object: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{' ' + self.object if self.object else ''}"


class ApiError(Exception):
    """An API server said no. ``causes`` are (field, message) of an invalid document, ``managers`` (manager, field) of a
    conflict of server-side apply.
    """

    def __init__(
        self, request: Request, status: int, reason: str, message: str, *, retry_after_s: float | None = None,
        causes: tuple[tuple[str, str], ...] = (), managers: tuple[tuple[str, str], ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(f"{request}: {status} {message}")
        self.request, self.status, self.reason, self.message = request, status, reason, message
        self.retry_after_s, self.causes, self.managers = retry_after_s, causes, managers

    @property
    def refuses_document(self) -> bool:
        """Whether the document itself was refused, by the schema, by admission or for its size: the same one again gets the same answer."""
        match self.status:
            case 400 | 413 | 422:
                return True
            case 403:
                return bool(_ADMISSION.search(self.message)) and not _NOT_THE_DOCUMENT.search(self.message)
            case 500:
                return bool(_NO_SUCH_FIELD.search(self.message)) or self.message.endswith(_TOO_LARGE)
        return False

    @property
    def outcome(self) -> Outcome:
        """How a change ends that met this answer."""
        request, said = self.request, self.message.rstrip(".")
        if self.refuses_document or self.status in (405, 406, 415):
            return Outcome(result=Result.FAILED, reason=f"{request}: {said}")
        match self.status:
            case 401:
                text = f"{request}: the API server does not know us (401): {said}; renew the credentials of the kubeconfig or service account"
                return Outcome(result=Result.RETRY, reason=text, retry_after_s=MISSING_RETRY_S)
            case 403:
                # Only a person grants a right; what a namespace's end is in the way of may pass.
                result = Result.RETRY if _ENDING.search(said) else Result.FAILED
                return Outcome(result=result, reason=self._forbidden(said), retry_after_s=MISSING_RETRY_S)
            case 404 if _NO_NAMESPACE.search(said):
                text = f"{request}: there is no such namespace: declare it in the repository, or make it"
                return Outcome(result=Result.RETRY, reason=text, retry_after_s=self.retry_after_s)
            case 409 if self.managers:
                fields = ", ".join(f"{field} (set by {manager})" for manager, field in self.managers)
                text = f"{request}: other managers hold {fields}; take the fields out of the manifest, let the manager go, or set engine.kubevirt.forceConflicts"
                return Outcome(result=Result.FAILED, reason=text)
            case 404 if _ACTIONS in request.resource and not self.reason:
                text = f"{request}: the cluster does not serve KubeVirt's actions ({_ACTIONS}): is virt-api up?"
                return Outcome(result=Result.RETRY, reason=text, retry_after_s=MISSING_RETRY_S)
            case 404 | 409 | 410:
                return Outcome(result=Result.CONFLICT, reason=f"{request}: {said}", retry_after_s=1.0)
        text = f"{request}: the API server answered {self.status}: {said}; it is tried again"
        webhook = _WEBHOOK_AWAY.search(said)
        if webhook is not None:
            text = f"{request}: the cluster's admission webhook {webhook[1]} does not answer, and without it nothing of this kind is taken: {said}; it is tried again"
        return Outcome(result=Result.RETRY, reason=text, retry_after_s=self.retry_after_s)

    def _forbidden(self, said: str) -> str:
        """A right that is missing, with the verb and resource that the server misses: a server-side apply of what is not there needs two. Or
        what else stands in the way for now.
        """
        request = self.request
        if _ENDING.search(said):
            return f"{request}: its namespace is being deleted, nothing new is taken there: {said}; make the namespace again, or take what is in it out of the repository"
        if _QUOTA.search(said):
            return f"{request}: a quota of the namespace leaves no room: {said}; raise the quota, or ask for less"
        missing = _RIGHT.search(said)
        if missing is None:
            return f"may not {request.verb} {request.resource}: {said}; grant that verb in a Role of gitvirt's service account"
        who, verb, plural, group, namespace = missing.groups()
        name, _, subresource = plural.partition("/")
        resource = ".".join(filter(None, (name, group))) + (f"/{subresource}" if subresource else "")
        if namespace:
            return f"{who} may not {verb} {resource} in namespace {namespace}: grant it that verb in a Role there"
        return f"{who} may not {verb} {resource} of the whole cluster: grant it that verb in a ClusterRole, or set engine.kubevirt.namespaces"


_ACTIONS = "subresources.kubevirt.io"
_RIGHT = re.compile(
    r'User "([^"]+)" cannot ([a-z]+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?'
)
_ENDING = re.compile(r"because it is being terminated")
_QUOTA = re.compile(r"exceeded quota: |status unknown for quota: ")
_ADMISSION = re.compile(r'is forbidden: |^admission webhook "')
_NOT_THE_DOCUMENT = re.compile("|".join(one.pattern for one in (_RIGHT, _ENDING, _QUOTA)) + "|cannot [a-z]+ path ")
_NO_NAMESPACE = re.compile(r'^namespaces "[^"]+" not found')
_NO_SUCH_FIELD = re.compile(r"^failed to create typed patch object ")
_TOO_LARGE = "etcdserver: request is too large"
_WEBHOOK_AWAY = re.compile(r'failed calling webhook "([^"]+)"')


class UnreachableError(Exception):
    """No answer came: the request was not sent (``sent`` False), or it may have been carried out."""

    def __init__(self, request: Request, why: str, *, sent: bool) -> None:
        super().__init__(f"{request}: {why}")
        self.request, self.sent = request, sent

    @property
    def outcome(self) -> Outcome:
        """How a change ends that met this."""
        result = Result.UNKNOWN if self.sent else Result.RETRY
        return Outcome(result=result, reason=str(self))


class SilentError(UnreachableError):
    """A watch that was taken and brought nothing for so long that nobody can tell whether it still stands."""


def api_error(request: Request, status: int, body: Any, retry_after: str | None) -> ApiError:
    """The error that an answer means. ``body`` is its decoded JSON where it had some."""
    said: Any = body if isinstance(body, dict) else {}
    details = said.get("details") or {}
    causes = [cause for cause in details.get("causes") or () if isinstance(cause, dict)]
    return ApiError(
        request,
        status,
        str(said.get("reason", "")),
        str(said.get("message") or f"HTTP status {status}"),
        retry_after_s=_seconds(retry_after) or _seconds(details.get("retryAfterSeconds")),
        causes=tuple((str(c.get("field", "")), str(c.get("message", ""))) for c in causes),
        managers=tuple(
            (_manager(str(c.get("message", ""))), str(c.get("field", "")).lstrip("."))
            for c in causes
            if c.get("reason") == "FieldManagerConflict"
        ),
    )


def _manager(message: str) -> str:
    """``conflict with "kubectl-edit" using v1`` → ``kubectl-edit``."""
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else message


def _seconds(value: Any) -> float | None:
    try:
        said = float(value) if value is not None else math.nan
    except (TypeError, ValueError):
        return None
    return None if math.isnan(said) else min(max(0.0, said), LONGEST_RETRY_S)
