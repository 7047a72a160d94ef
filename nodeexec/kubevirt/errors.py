"""What an API server's refusals mean, in our words: the one place that knows status codes.

*Source*: Kubernetes API conventions, ``Status`` objects and their reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.outcome import Outcome, Result

RETRY_AFTER_S = 5.0
MISSING_RETRY_S = 60.0


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
    def outcome(self) -> Outcome:
        """How a change ends that met this answer."""
        request, said = self.request, self.message.rstrip(".")
        match self.status:
            case 401:
                text = f"{request}: the API server does not know us (401): {said}; renew the credentials of the kubeconfig or service account"
                return Outcome(result=Result.RETRY, reason=text, retry_after_s=MISSING_RETRY_S)
            case 403:
                text = f"may not {request.verb} {request.resource}: {said}; grant that verb in a Role of gitvirt's service account"
                return Outcome(result=Result.RETRY, reason=text, retry_after_s=MISSING_RETRY_S)
            case 409 if self.managers:
                fields = ", ".join(f"{field} (set by {manager})" for manager, field in self.managers)
                text = f"{request}: other managers hold {fields}; take the fields out of the manifest, let the manager go, or set engine.kubevirt.forceConflicts"
                return Outcome(result=Result.FAILED, reason=text)
            case 409 | 404 | 410:
                return Outcome(result=Result.CONFLICT, reason=f"{request}: {said}", retry_after_s=1.0)
            case 400 | 405 | 406 | 413 | 415 | 422:
                return Outcome(result=Result.FAILED, reason=f"{request}: {said}")
        text = f"{request}: the API server answered {self.status}: {said}; it is tried again"
        return Outcome(result=Result.RETRY, reason=text, retry_after_s=self.retry_after_s or RETRY_AFTER_S)


class UnreachableError(Exception):
    """No answer came: the request was not sent (``sent`` False), or it may have been carried out."""

    def __init__(self, request: Request, why: str, *, sent: bool) -> None:
        super().__init__(f"{request}: {why}")
        self.request, self.sent = request, sent

    @property
    def outcome(self) -> Outcome:
        """How a change ends that met this."""
        result = Result.UNKNOWN if self.sent else Result.RETRY
        return Outcome(result=result, reason=str(self), retry_after_s=1.0 if self.sent else RETRY_AFTER_S)


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
        return max(0.0, float(value)) if value is not None else None
    except (TypeError, ValueError):
        return None
