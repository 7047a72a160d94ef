"""The search itself can see; and a traceback shows no values."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
import structlog

from reconciler.daemon.log_setup import set_up_logging
from reconciler.settings import LogSettings
from tests.canary.canaries import Canaries


@pytest.mark.parametrize(
    "slip",
    [
        lambda value: f"password {value} refused",
        lambda value: value.upper(),
        lambda value: f"text {value[:18]!r}...",
        lambda value: f"...{value[-10:]}",
        lambda value: value[::-1],
        lambda value: json.dumps({"a": f'"{value}"\n'}),
        lambda value: quote(f"a {value}&b"),
        lambda value: value.encode().hex(),
        lambda value: base64.b64encode(f"#cloud-config\nx: {value}\n".encode()).decode(),
        lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
        lambda value: base64.b64encode(f"m:{value}".encode()).decode(),
        lambda value: hashlib.sha256(value.encode()).hexdigest(),
    ],
)
def test_a_canary_that_slips_is_seen(slip: Callable[[str], str]) -> None:
    canaries = Canaries()
    value = canaries.plant("one")
    canaries.plant("another")
    (found,) = canaries.seen_in({"a place": f"before {slip(value)} after".encode()})
    assert (found.canary, found.place) == ("one", "a place")


def test_what_is_no_canary_is_not_seen() -> None:
    canaries = Canaries()
    canaries.plant("one")
    assert canaries.seen_in({"a place": hashlib.sha512(b"x").hexdigest().encode() * 1000}) == []


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_traceback_in_the_log_shows_no_local_values(format: str, logging_as_before: None) -> None:
    canaries, stream = Canaries(), io.StringIO()
    value = canaries.plant("a local value")
    set_up_logging(LogSettings(level="debug", format=format), stream)

    def fail(password: str) -> None:
        raise RuntimeError(f"{len(password)} characters")

    try:
        fail(value)
    except RuntimeError as fault:
        structlog.get_logger().error("work.failed", exc_info=fault)
    assert "RuntimeError" in stream.getvalue()
    assert canaries.seen_in({"log": stream.getvalue().encode()}) == []
