"""One request, one answer: it ends in time, and what is no API server's answer is taken for none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from nodeexec.kubevirt import client as module
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.settings import KubevirtSettings
from tests.cluster.loopback import Exchange, Loopback, kubeconfig_text

ASKED = Request(verb="get", resource="things")
Serve = Callable[[Exchange], None]


class _Clock:
    """Time as a client sees it; a server may let it pass."""

    passed_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.passed_s


_CLOCK = _Clock()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Serve], ApiClient]]:
    """Makes a client of a server that answers as it is told; requests have half a second where it says nothing."""
    servers: list[Loopback] = []
    monkeypatch.setattr(module, "time", _CLOCK)

    def made(serve: Serve) -> ApiClient:
        servers.append(Loopback("answers", serve))
        path = tmp_path / "kubeconfig"
        path.write_bytes(orjson.dumps(kubeconfig_text(servers[-1].url, "answers")))
        return ApiClient(
            lambda: connection_of(KubevirtSettings(kubeconfig=str(path))),
            timeout_s=0.5 if serve is says_nothing else 60.0,
        )

    yield made
    for server in servers:
        server.close()


def head(exchange: Exchange, status: int, length: int) -> None:
    exchange.close_connection = True
    exchange.send_response(status)
    exchange.send_header("Content-Length", str(length))
    exchange.end_headers()
    exchange.wfile.flush()


def trickles(exchange: Exchange) -> None:
    head(exchange, 200, 1000)
    with suppress(OSError):
        for _ in range(600):
            exchange.wfile.write(b" ")
            exchange.wfile.flush()
            _CLOCK.passed_s += 61.0
            time.sleep(0.1)


def says_nothing(exchange: Exchange) -> None:
    time.sleep(60.0)
    exchange.close_connection = True


def breaks_off(exchange: Exchange) -> None:
    head(exchange, 200, 1000)
    exchange.wfile.write(b'{"items": [')


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (trickles, "not there in time"),
        (says_nothing, "did not answer"),
        (breaks_off, "broke off"),
        (lambda exchange: exchange.answer(200, b"<html>"), "something else answers"),
        (lambda exchange: exchange.answer(200, b"[]"), "something else answers"),
        (lambda exchange: exchange.answer(302, b"", {"Location": "/login"}), "sends us elsewhere"),
    ],
)
def test_what_is_no_answer_is_unknown_and_in_time(
    client: Callable[[Serve], ApiClient], serve: Serve, words: str
) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=words) as found:
        client(serve).call("GET", "/things", ASKED)
    assert found.value.sent
    assert time.monotonic() - began < 60.0


def test_a_refusal_that_breaks_off_is_a_refusal(client: Callable[[Serve], ApiClient]) -> None:
    with pytest.raises(ApiError, match="broke off") as found:
        client(lambda exchange: head(exchange, 503, 1000)).call("GET", "/things", ASKED)
    assert found.value.status == 503


def test_connections_are_kept_and_large_answers_come_whole(client: Callable[[Serve], ApiClient]) -> None:
    peers: set[object] = set()

    def serve(exchange: Exchange) -> None:
        peers.add(exchange.client_address)
        exchange.answer(200, orjson.dumps({"text": "x" * 3_000_000}))

    asking = client(serve)
    for _ in range(5):
        assert len(asking.call("GET", "/things", ASKED)["text"]) == 3_000_000
    assert len(peers) == 1


def test_nothing_is_written_by_one_that_does_not_lead(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(orjson.dumps(kubeconfig_text("http://127.0.0.1:1", "answers")))
    asking = ApiClient(
        lambda: connection_of(KubevirtSettings(kubeconfig=str(path))), timeout_s=0.5, may_write=lambda: False
    )
    with pytest.raises(UnreachableError, match="does not lead") as found:
        asking.call("PATCH", "/things/a", ASKED, body={})
    assert not found.value.sent
    assert asking.requests == {}
