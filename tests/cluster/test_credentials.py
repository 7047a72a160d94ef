"""Who we are to an API server, in each of the ways that a kubeconfig or a pod says it; and what goes wrong with that."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from nodeexec.kubevirt import exec_plugin
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.errors import ApiError, Request, UnreachableError
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.errors import EngineError
from tests.cluster.planes import Cluster

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ASKED = Request(verb="create", resource="selfsubjectreviews")
VERSION = "client.authentication.k8s.io/v1"
_PAST = datetime(2020, 1, 1)


class Door:
    """The real API server with other credentials than the administrator's."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        assert cluster.plane is not None
        self.cluster, self.directory = cluster, directory
        self.usual: dict[str, Any] = json.loads(cluster.kubeconfig.read_text())

    def token(self, account: str) -> str:
        """A token of a service account in the namespace ``default``."""
        path = "/api/v1/namespaces/default/serviceaccounts"
        with suppress(ApiError):
            self.cluster.hands.call("POST", path, {"metadata": {"name": account}})
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        return str(self.cluster.hands.call("POST", f"{path}/{account}/token", wanted)["status"]["token"])

    def kubeconfig(self, user: dict[str, Any], **cluster: Any) -> KubevirtSettings:
        """Settings with a kubeconfig of that user; what is None in ``cluster`` is left out."""
        server = {**self.usual["clusters"][0]["cluster"], **cluster}
        server = {name: value for name, value in server.items() if value is not None}
        name = self.usual["users"][0]["name"]
        body = {
            **self.usual,
            "users": [{"name": name, "user": user}],
            "clusters": [{"name": "tests", "cluster": server}],
        }
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(body))
        return KubevirtSettings(kubeconfig=str(path))

    def plugin(self, text: str) -> dict[str, Any]:
        """A user whose credentials a program of that text gives."""
        program = self.directory / "plugin"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return {"exec": {"apiVersion": VERSION, "command": "./plugin", "args": ["get-token"]}}


def answer(**status: str) -> str:
    """What a plugin prints."""
    return "echo '" + json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}) + "'"


def client(settings: KubevirtSettings) -> ApiClient:
    return ApiClient(lambda: connection_of(settings), timeout_s=60.0)


def who(asking: ApiClient) -> str:
    """The user that the server takes us for."""
    return str(asking.call("POST", REVIEW, ASKED, body={})["status"]["userInfo"]["username"])


@pytest.fixture
def door(cluster: Cluster, tmp_path: Path) -> Door:
    if cluster.plane is None:
        pytest.skip("this cluster's accounts are not ours to make")
    return Door(cluster, tmp_path)


def test_a_token_in_a_file_that_is_written_anew(door: Door) -> None:
    file = door.directory / "token"
    file.write_text("not.a.token\n")
    asking = client(door.kubeconfig({"tokenFile": "token"}))
    with pytest.raises(ApiError, match="401"):
        who(asking)
    file.write_text(f"{door.token('one')}\n")
    assert who(asking) == "system:serviceaccount:default:one"
    file.unlink()
    assert who(asking) == "system:serviceaccount:default:one"


def test_a_pod_s_own_account_whose_token_rotates(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    token = door.directory / "token"
    token.write_text(door.token("pod"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(door.cluster.plane.port))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    authority = door.usual["clusters"][0]["cluster"]["certificate-authority"]
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", authority)
    asking = client(KubevirtSettings())
    assert who(asking) == "system:serviceaccount:default:pod"
    # The server knows the old token no more; the new one is on the disk already, and the client's minute is not over.
    door.cluster.hands.call("DELETE", "/api/v1/namespaces/default/serviceaccounts/pod")
    asking._configuration.api_key["BearerToken"] = "bearer expired.by.now"
    asking._configuration.refresh_api_key_hook = None
    token.write_text(door.token("pod") + "\n")
    assert who(asking) == "system:serviceaccount:default:pod"
    # A file that is just not there is no end of anything.
    token.unlink()
    asking._configuration.refresh_api_key_hook.__closure__[0].cell_contents.token_expires_at = _PAST
    with pytest.raises(UnreachableError, match="no credentials"):
        who(asking)
    with pytest.raises(
        EngineError, match="the pod's service account cannot be used: Service token file does not exist"
    ):
        client(KubevirtSettings())


def test_a_plugin_is_asked_again_when_its_token_is_over(door: Door) -> None:
    count = "echo x >> asked"
    over = answer(token=door.token("plugin"), expirationTimestamp="2020-01-01T00:00:00Z")
    asking = client(door.kubeconfig(door.plugin(f"{count}\n{over}")))
    assert who(asking) == "system:serviceaccount:default:plugin"
    assert len((door.directory / "asked").read_text().split()) == 2
    door.plugin(f"{count}\n{answer(token=door.token('plugin'))}")
    assert who(asking) == "system:serviceaccount:default:plugin"


def test_a_plugin_that_gives_a_certificate(door: Door) -> None:
    user = door.usual["users"][0]["user"]
    texts = {
        name: Path(user[file]).read_text()
        for name, file in (("clientCertificateData", "client-certificate"), ("clientKeyData", "client-key"))
    }
    assert who(client(door.kubeconfig(door.plugin(answer(**texts).replace("\\n", "\\\\n"))))) == "admin"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'log in first' >&2; exit 3", r"plugin ./plugin failed \(exit code 3\): log in first"),
        ("echo hello", "answered without a token or certificate"),
        ("sleep 30", "gave no credentials within 0 s"),
        ("[ -t 0 ] || read line || exit 7", "exit code 7"),
    ],
)
def test_a_plugin_that_gives_nothing_is_said(
    door: Door, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    if text.startswith("sleep"):
        monkeypatch.setattr(exec_plugin, "TIMEOUT_S", 0.3)
    with pytest.raises(EngineError, match=words):
        client(door.kubeconfig(door.plugin(text)))


def test_a_plugin_that_stops_giving_does_not_end_the_client(door: Door) -> None:
    asking = client(door.kubeconfig(door.plugin(answer(token=door.token("one")))))
    assert who(asking)
    asking._configuration.api_key["BearerToken"] = "Bearer over"
    asking._configuration.refresh_api_key_hook = None
    door.plugin("exit 1")
    with pytest.raises(UnreachableError, match="plugin"):
        who(asking)
    door.plugin(answer(token=door.token("one")))
    assert who(asking)


def test_a_connection_that_nothing_protects_is_refused(door: Door) -> None:
    insecure = {"insecure-skip-tls-verify": True, "certificate-authority": None}
    with pytest.raises(EngineError, match=r"insecure-skip-tls-verify.*certificate-authority"):
        client(door.kubeconfig({"token": "hunter2"}, **insecure))
    with pytest.raises(EngineError, match="is not https"):
        client(door.kubeconfig({"token": "hunter2"}, server="http://api.example.org:8080"))
    other = door.cluster.plane.authority.__class__(door.directory)
    with pytest.raises(UnreachableError, match="TLS"):
        who(client(door.kubeconfig({"token": "x"}, **{"certificate-authority": str(other.certificate)})))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no such file"),
        ("", "is empty"),
        ("users: [{name: x, user: {token: hunter2}}\nclusters", "line 2"),
        ("- hunter2", "it is no kubeconfig"),
        ("users: [{name: admin, token: hunter2}]\ncontexts: [{name: c, context: {user: admin, cluster: x}}]\n"
         "current-context: c\nclusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]", "Expected key user"),
        ("contexts: []\nclusters: []\nusers: []\ncurrent-context: c", "Expected object with name c"),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_makes_no_sense_is_said_without_its_secrets(
    tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EngineError, match=words) as refused:
        client(KubevirtSettings(kubeconfig=str(path)))
    assert "hunter2" not in str(refused.value)
    assert str(path) in str(refused.value)
    assert "engine.kubevirt.kubeconfig" in str(refused.value)


def test_a_context_is_chosen_by_its_name(door: Door) -> None:
    settings = door.kubeconfig({"token": door.token("one")})
    body = json.loads(Path(settings.kubeconfig).read_text())
    nowhere = {"name": "away", "context": {"cluster": "nowhere", "user": body["users"][0]["name"]}}
    body["contexts"].append(nowhere)
    body["current-context"] = "away"
    body["clusters"].append({"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}})
    Path(settings.kubeconfig).write_text(json.dumps(body))
    chosen = KubevirtSettings(kubeconfig=settings.kubeconfig, context="tests")
    assert who(client(chosen)) == "system:serviceaccount:default:one"
    with pytest.raises(UnreachableError, match="cannot be reached"):
        who(client(settings))
    with pytest.raises(EngineError, match="with context elsewhere"):
        client(KubevirtSettings(kubeconfig=settings.kubeconfig, context="elsewhere"))


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy (CONNECT) on loopback, and what it was asked."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), list[str]()

    def pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                head = near.recv(65536).decode()
                asked.append(head)
                host, _, port = head.split()[1].rpartition(":")
                far = socket.create_connection((host, int(port)))
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()


def test_a_proxy_of_the_kubeconfig(door: Door, proxy: tuple[str, list[str]]) -> None:
    at, asked = proxy
    user = {"token": door.token("one")}
    settings = door.kubeconfig(user, **{"proxy-url": f"http://somebody:hunter2@{at}"})
    assert who(client(settings)) == "system:serviceaccount:default:one"
    basic = base64.b64encode(b"somebody:hunter2").decode()
    assert asked[0].startswith("CONNECT 127.0.0.1:")
    assert basic in asked[0]
    gone = door.kubeconfig(user, **{"proxy-url": "http://somebody:hunter2@127.0.0.1:1"})
    with pytest.raises(UnreachableError, match="cannot be reached") as refused:
        who(client(gone))
    assert (refused.value.sent, "hunter2" in str(refused.value)) == (False, False)


def test_a_token_that_no_header_can_hold(door: Door) -> None:
    with pytest.raises(UnreachableError, match="no HTTP header can") as refused:
        who(client(door.kubeconfig({"token": "hunter2\nX-Evil: yes"})))
    assert "hunter2" not in str(refused.value)
