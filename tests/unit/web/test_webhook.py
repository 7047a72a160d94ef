"""The webhook over real HTTP: who may wake, what a stranger learns, and what a flood costs."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.web import bounded, webhook
from reconciler.web.health import Health
from reconciler.web.server import WebServer
from reconciler.web.webhook import Reception, Webhook
from tests.unit.daemon.parts import PATIENCE_S, eventually

SECRET = "It's a Secret to Everybody"
BODY = b'{"ref": "refs/heads/main", "after": "f00", "clone_url": "http://169.254.169.254/"}'


def openssl_hmac(body: bytes, key: bytes = SECRET.encode(), *, binary: bool = False) -> bytes:
    """The HMAC-SHA256 as another program computes it."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}"]
    done = subprocess.run([*command, *(["-binary"] if binary else [])], input=body, capture_output=True, check=True)
    return done.stdout if binary else done.stdout.split()[-1]


class Site:
    """A server with a webhook, and what it did."""

    def __init__(self, directory: Path) -> None:
        self.secrets = directory / "secrets"
        self.now_s = 100.0
        self.woken: list[str] = []
        self.told: list[tuple[str, str, int]] = []
        self.begin()
        self.webhook = Webhook(
            secret_file=self.secrets,
            names=["apps", "infra"],
            wake=self.wake,
            refused=lambda *facts: self.told.append(facts),
            monotonic=lambda: self.now_s,
        )
        self.server = WebServer(host="127.0.0.1", port=0, health=Health(is_alive=lambda: True), webhook=self.webhook)

    def wake(self, name: str) -> bool:
        self.woken.append(name)
        return self.is_heard

    def begin(self) -> None:
        """As if nothing had been before: long ago is as good as never."""
        self.now_s += 1000.0
        self.secrets.write_text(f"{SECRET}\n")
        self.woken.clear()
        self.is_heard = True
        self.told.clear()

    def end(self) -> None:
        """A wake that is still to come must not come during the next test."""
        for late in threading.enumerate():
            if isinstance(late, threading.Timer) and getattr(late.function, "__self__", None) is self.webhook:
                late.cancel()
                late.join()
                late.function(*late.args)

    def connect(self) -> socket.socket:
        host, _, port = self.server.address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE_S)

    def post(self, headers: dict[str, str], body: bytes = BODY, path: str = "/webhook") -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection(self.server.address, timeout=PATIENCE_S)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """All that is answered to these bytes; less, where the server hangs up on what it does not want to read."""
        answer = b""
        with self.connect() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(4096):
                answer += piece
        return answer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("webhook"))
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def site(running: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(bounded, "_DRAIN_S", PATIENCE_S)
    running.begin()
    yield running
    running.end()


def signed(body: bytes = BODY) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + openssl_hmac(body).decode()}


def standard_headers(key: bytes, body: bytes = BODY) -> dict[str, str]:
    content = b"msg_1.1767225600." + body
    signature = base64.b64encode(openssl_hmac(content, key, binary=True)).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1767225600",
        "webhook-signature": f"v1,{base64.b64encode(b'x' * 32).decode()} v1,{signature}",
    }


def provider_headers() -> dict[str, dict[str, str]]:
    """As the providers send them, event headers and all."""
    digest = openssl_hmac(BODY).decode()
    return {
        "github": {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "X-Hub-Signature": "sha1=0123456789012345678901234567890123456789",
            "X-Hub-Signature-256": f"sha256={digest}",
            "User-Agent": "GitHub-Hookshot/044aadd",
        },
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SECRET, "User-Agent": "GitLab/17.0"},
        "gitlab signing token": {"X-Gitlab-Event": "Push Hook", **standard_headers(SECRET.encode())},
        "gitea": {
            "X-Gitea-Event": "push",
            "X-Gitea-Signature": digest,
            "X-Gogs-Event": "push",
            "X-Gogs-Signature": digest,
            "X-GitHub-Event": "push",
        },
        "forgejo": {"X-Forgejo-Event": "push", "X-Forgejo-Signature": digest},
        "bitbucket": {"X-Event-Key": "repo:push", "X-Hub-Signature": f"sha256={digest}"},
        "generic": {"X-Signature": f"sha256={digest}"},
    }


@pytest.mark.parametrize("provider", list(provider_headers()))
def test_each_provider_wakes_and_nothing_more(site: Site, provider: str) -> None:
    headers = provider_headers()[provider]
    assert site.post(headers) == (202, b"")
    assert site.woken == [""]
    wrong = {name: value.swapcase() if value == SECRET else value for name, value in headers.items()}
    assert site.post(wrong, b"x" if wrong == headers else BODY)[0] == 403
    assert site.woken == [""]


def test_the_example_of_githubs_documentation(site: Site) -> None:
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert site.post({"X-Hub-Signature-256": f"sha256={digest}"}, b"Hello, World!")[0] == 202


def test_a_signing_token_is_the_base64_of_its_key(site: Site) -> None:
    key = bytes(range(24))
    site.secrets.write_bytes(b"whsec_" + base64.b64encode(key))
    assert site.post(standard_headers(key))[0] == 202
    assert site.post(standard_headers(b"another key"))[0] == 403
    site.secrets.write_text("whsec_!!!!!!!!!!!!!!!!!!")
    assert site.post(standard_headers(key))[0] == 403


def test_a_stranger_learns_nothing(site: Site) -> None:
    answers = {
        site.post({}),
        site.post({"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        site.post({"X-Hub-Signature-256": openssl_hmac(BODY).decode()}),
        site.post({"X-Hub-Signature": "sha1=" + openssl_hmac(BODY).decode()}),
        site.post({"X-Gitlab-Token": ""}),
        site.post({"X-Gitlab-Token": "\xe9" * 26}),
        site.post({"X-Hub-Signature-256": "sha256=" + openssl_hmac(BODY, b"x").decode()}),
        site.post({"webhook-signature": "v1," + "A" * 44}),
        site.post({}, path="/webhook/apps"),
        site.post({}, path="/webhook/nobody"),
        site.post(signed(), path="/webhook/nobody"),
        site.post(signed(), path="/webhook/apps/../infra"),
        site.post(signed(), path="/webhook/%61pps"),
    }
    assert answers == {(403, b"no\n")}
    assert site.woken == []


def test_a_source_is_named_by_the_path(site: Site) -> None:
    assert site.post(signed(), path="/webhook/apps")[0] == 202
    assert site.post(signed(), path="/webhook/infra?x=1")[0] == 202
    assert site.post(signed(), path="/webhook/")[0] == 202
    assert site.woken == ["apps", "infra", ""]


def test_secrets_are_read_at_use_and_several_hold(site: Site) -> None:
    site.secrets.write_text(f"# a comment is a secret nobody sends\r\nthe new secret, which is long\r\n{SECRET}\r\n")
    assert site.post(signed())[0] == 202
    assert site.post({"X-Gitlab-Token": "the new secret, which is long"})[0] == 202
    site.secrets.write_text("the new secret, which is long\n")
    assert site.post(signed())[0] == 403
    for unusable in ("", "\n\n", "short\n", f"{SECRET}\nshort\n", "x" * 70_000):
        site.secrets.write_text(unusable)
        assert site.post(signed())[0] == 403
        assert site.post({"X-Gitlab-Token": unusable.split("\n")[0][:500]})[0] == 403
    site.secrets.unlink()
    site.now_s += 60
    assert site.post(signed())[0] == 403
    assert "cannot be read" in site.told[-1][0]
    assert SECRET not in str(site.told)


def test_whom_nobody_hears_is_told_to_come_again(site: Site) -> None:
    site.is_heard = False
    answer = site.raw(_request(signed()))
    assert answer.startswith(b"HTTP/1.0 503 ")
    assert b"retry-after: 5\r\n" in answer.lower()
    assert "infra" in site.woken


def _request(headers: dict[str, str]) -> bytes:
    lines = [
        "POST /webhook/infra HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(BODY)}",
        *map(": ".join, headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


def test_a_replay_only_wakes_and_a_flood_wakes_seldom(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = signed()
    assert {site.post(headers)[0] for _ in range(2)} == {202}
    monkeypatch.setattr(webhook, "WAKE_INTERVAL_S", 0.2)
    woken: list[tuple[str, float]] = []
    asked: dict[str, float] = {}
    began = time.monotonic()
    flooded = Webhook(
        secret_file=site.secrets,
        names=["apps"],
        wake=lambda name: woken.append((name, time.monotonic() - began)) or True,
        refused=lambda *_: None,
        monotonic=time.monotonic,
    )
    for number in range(400):
        name = "apps" if number % 2 else ""
        asked[name] = time.monotonic() - began
        assert flooded.receive(name, headers, BODY, "peer") is Reception.TAKEN
    ended = time.monotonic() - began
    # Whoever came last is served by a look that begins after it came.
    eventually(lambda: all(max(at for other, at in woken if other == name) > asked[name] for name in asked))
    time.sleep(0.4)
    for name in asked:
        assert 2 <= sum(other == name for other, _ in woken) <= ended / 0.2 + 2


def test_what_is_refused_is_told_now_and_then(site: Site) -> None:
    site.post({})
    site.now_s += webhook.TELL_INTERVAL_S
    site.told.clear()
    site.post({})
    for _ in range(19):
        site.post({"X-Hub-Signature-256": "sha256=nonsense"}, b"secret payload")
    site.now_s += webhook.TELL_INTERVAL_S
    site.post({})
    assert [(peer, count) for _, peer, count in site.told] == [("127.0.0.1", 1), ("127.0.0.1", 20)]
    assert "secret payload" not in str(site.told)


def test_a_body_of_one_mebibyte_and_one_byte_more(site: Site) -> None:
    largest = b"x" * bounded.MAX_BODY_BYTES
    assert site.post(signed(largest), largest)[0] == 202
    assert site.post(signed(largest + b"x"), largest + b"x") == (413, b"at most 1 MiB\n")
    assert site.raw(b"POST /webhook HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n").startswith(b"HTTP/1.0 413")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 411),
        (b"Transfer-Encoding: chunked\r\n", 411),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 411),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: +5\r\n", 400),
        (b"Content-Length: 5_0\r\n", 400),
        ("Content-Length: ٥\r\n".encode(), 400),
    ],
)
def test_bodies_without_a_clear_length(site: Site, head: bytes, status: int) -> None:
    answer = site.raw(b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n5\r\nhello\r\n0\r\n\r\n")
    assert answer.startswith(f"HTTP/1.0 {status} ".encode())
    assert site.woken == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST /webhook HTTP/9.9\r\n\r\n",
        b"POST /webhook <script>alert(1)</script> HTTP/1.1\r\n\r\n",
        b"POST " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /webhook HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nContent-Length: 10\r\n\r\nshort",
        b"POST /webhook HTTP/1.1",
        b"",
    ],
)
def test_garbage_ends_and_the_server_goes_on(site: Site, garbage: bytes) -> None:
    answer = site.raw(garbage)
    assert b"script" not in answer
    assert not answer.startswith(b"HTTP/1.0 2")
    assert site.post(signed())[0] == 202


def test_who_trickles_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "REQUEST_S", 0.6)
    began = time.monotonic()
    with site.connect() as head, site.connect() as body:
        body.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 60:
                for connection in (head, body):
                    connection.sendall(b"x")
                time.sleep(0.05)
        # Both are closed at the deadline, however steadily bytes come.
        assert time.monotonic() - began < 30
    assert site.post(signed())[0] == 202


def test_many_connections_at_once(site: Site) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(site.connect()) for _ in range(60)]
        for connection in idle[:10]:
            with contextlib.suppress(OSError):
                connection.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        closed: set[socket.socket] = set()

        def enough_are_closed() -> bool:
            for connection in set(idle) - closed:
                connection.settimeout(0.001)
                with contextlib.suppress(TimeoutError):
                    if _is_closed(connection):
                        closed.add(connection)
            return len(closed) >= 20

        eventually(enough_are_closed)
    eventually(lambda: _answers(site))


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def _answers(site: Site) -> bool:
    try:
        return site.post(signed())[0] == 202
    except (OSError, http.client.HTTPException):
        return False


def test_only_a_few_bodies_are_read_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "SILENCE_S", PATIENCE_S)
    monkeypatch.setattr(bounded, "REQUEST_S", PATIENCE_S)
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(site.connect())
            connection.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        eventually(lambda: site.post(signed())[0] == 503)
    eventually(lambda: site.post(signed())[0] == 202)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_do_nothing(site: Site, method: str) -> None:
    connection = http.client.HTTPConnection(site.server.address, timeout=PATIENCE_S)
    connection.request(method, "/webhook", headers=signed(b""))
    assert connection.getresponse().status in (404, 405)
    connection.close()
    assert site.woken == []


def test_a_listener_of_its_own_has_nothing_else(site: Site) -> None:
    apart = WebServer(host="127.0.0.1", port=0, webhook=site.webhook)
    apart.start()
    try:
        connection = http.client.HTTPConnection(apart.address, timeout=PATIENCE_S)
        for path in ("/healthz", "/readyz", "/metrics", "/"):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (404, b"not found\n")
            connection.close()
    finally:
        apart.stop()


def test_without_a_webhook_nothing_is_posted() -> None:
    bare = WebServer(host="127.0.0.1", port=0, health=Health(is_alive=lambda: True))
    bare.start()
    try:
        connection = http.client.HTTPConnection(bare.address, timeout=PATIENCE_S)
        connection.request("POST", "/webhook", BODY, signed())
        assert connection.getresponse().status == 405
        connection.close()
    finally:
        bare.stop()
