"""What went wrong over https, as a clause about the server that says what to do. Never quotes headers or URLs."""

from __future__ import annotations

import socket
import ssl

import httpx

from reconciler.model.plain_text import one_line
from reconciler.model.source_spec import SourceAuth, SourceSpec


def fault_of_answer(answer: httpx.Response, expected: str, auth: SourceAuth, *, deed: str = "read") -> str:
    """Why an answer is of no use; empty when it is one. ``deed`` is what was asked for, read or write."""
    named = auth.token_file or auth.password_file
    match answer.status_code:
        case 200:
            return _fault_of_content(answer, expected)
        case 401 if named:
            return f"it does not accept the credentials in {named} (401)"
        case 401:
            return "it asks for credentials (401): set auth.tokenFile, or auth.username and auth.passwordFile"
        case 403:
            return f"it does not let these credentials {deed} (403)"
        case 404:
            return "it has no such repository, or hides it from these credentials (404)"
        case 407:
            return "the proxy asks for credentials (407), which gitvirt has none for"
        case 429:
            return "it is asked too often (429): raise interval"
        case code if code >= 500:
            return f"it has a fault of its own or is overloaded ({code})"
        case code:
            return f"it answered {code} {one_line(answer.reason_phrase, 60)}"


def _fault_of_content(answer: httpx.Response, expected: str) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind != expected:
        return (
            f"it answers, but not as a Git server ({one_line(kind, 60) or 'no content type'}): is the URL that of the "
            "repository itself, as in git clone?"
        )
    if answer.headers.get("content-encoding", "identity") != "identity":
        return "it packs its answers although it was told not to"
    return ""


def fault_of_connection(fault: httpx.HTTPError, spec: SourceSpec) -> str:
    """Why there was no answer."""
    causes = _causes(fault)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): {_trust_hint(spec)}"
    if isinstance(fault, httpx.ConnectTimeout):
        return f"no connection within the time allowed{_by_proxy(spec)}: is the host up, and does a firewall let this one through?"
    if isinstance(fault, httpx.TimeoutException):
        return "it stopped answering"
    if isinstance(fault, httpx.ProxyError):
        return f"the proxy {spec.proxy} refuses to connect to it ({one_line(str(fault), 100)})"
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return f"the name of the host{' or proxy' if spec.proxy else ''} cannot be resolved: is it spelt right, does DNS work?"
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens there{_by_proxy(spec)} (connection refused)"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({one_line(cause.reason or str(cause), 100)}): is this the port for https?"
    if isinstance(fault, httpx.ConnectError):
        return f"no connection{_by_proxy(spec)} ({one_line(str(fault), 100) or 'no reason given'})"
    return f"the connection broke ({type(fault).__name__})"


def _causes(fault: BaseException) -> list[BaseException]:
    """What it came of, the nearest first."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [fault]
    while pending:
        one = pending.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        pending += [one.__cause__, one.__context__]
        pending += list(one.exceptions) if isinstance(one, BaseExceptionGroup) else []
    return found


def _trust_hint(spec: SourceSpec) -> str:
    if spec.ca_file:
        return f"caFile {spec.ca_file} does not hold the authority that signed it, or the name or date is wrong"
    return "set caFile to the authority that signed it, or correct the name in the URL"


def _by_proxy(spec: SourceSpec) -> str:
    return f" through the proxy {spec.proxy}" if spec.proxy else ""
