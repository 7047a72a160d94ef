"""A real API server on loopback: etcd and kube-apiserver from ``KUBEBUILDER_ASSETS``, as envtest finds them."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.certificates import Authority
from tests.ports import free_port

DEFAULT_ASSETS = "/usr/local/kubebuilder/bin"
START_S = 120.0
_PROXY = "front-proxy"


def assets() -> Path:
    """Where the binaries are looked for."""
    return Path(os.environ.get("KUBEBUILDER_ASSETS") or DEFAULT_ASSETS)


def missing() -> str:
    """Why no API server can be started here; empty when one can."""
    absent = [name for name in ("etcd", "kube-apiserver") if not (assets() / name).exists()]
    return f"{' and '.join(absent)} not found in {assets()} (KUBEBUILDER_ASSETS)" if absent else ""


def _unsafe(etcd: Path) -> tuple[str, ...]:
    """Nothing that these tests write has to outlive a power cut; etcd before 3.5 cannot be told so."""
    said = subprocess.run([str(etcd), "--help"], capture_output=True, check=False)
    return ("--unsafe-no-fsync",) if b"unsafe-no-fsync" in said.stdout + said.stderr else ()


class ControlPlane:
    """etcd and kube-apiserver, and where asked for controllers of kube-controller-manager and programs of others. `stop` ends them.

    API services of others are asked as the user ``front-proxy``, which they know by `Authority`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Not beside the logs: KubeVirt's programs look at the directory of their certificates, and say so, whenever something there changes.
        self.authority = Authority(directory / "certificates")
        self._server = self.authority.server()
        self._proxy = self.authority.client(_PROXY)
        self._signing_key = self.authority.signing_key()
        self.port = free_port()
        self._etcd_port = free_port()
        self.kubeconfig = self.kubeconfig_of("admin", "system:masters")

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start both and wait until the API server is ready.

        Raises:
            RuntimeError: it did not come up; says what it logged last.
        """
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        self._run(
            "etcd",
            "--data-dir", str(self._directory / "etcd"), *_unsafe(assets() / "etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        )  # fmt: skip
        self.start_api_server()

    def start_api_server(self) -> None:
        """Start the API server alone, on its port, with its certificates.

        Raises:
            RuntimeError: see `start`.
        """
        certificate, key = self._server
        proxy_certificate, proxy_key = self._proxy
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority.certificate}",
            f"--service-account-key-file={self._signing_key}", f"--service-account-signing-key-file={self._signing_key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
            f"--requestheader-client-ca-file={self.authority.certificate}", f"--requestheader-allowed-names={_PROXY}",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy_certificate}", f"--proxy-client-key-file={proxy_key}",
            f"--cert-dir={self._directory}",
        )  # fmt: skip
        self._wait("kube-apiserver")

    def start_garbage_collector(self, *others: str) -> None:
        """Run kube-controller-manager with its garbage collector, and the controllers of those names; for tests that ask whether it is there."""
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}", f"--controllers={','.join(('garbage-collector-controller', *others))}",
            "--leader-elect=false", f"--secure-port={free_port()}", "--bind-address=127.0.0.1", f"--cert-dir={self._directory}",
            f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}",
        )  # fmt: skip

    def stop_controllers(self) -> None:
        """End what `start_garbage_collector` began."""
        self._end("kube-controller-manager", signal.SIGKILL)

    @staticmethod
    def has_garbage_collector() -> bool:
        """Whether its binary is there."""
        return (assets() / "kube-controller-manager").exists()

    def kubeconfig_of(self, user: str, *groups: str) -> Path:
        """A kubeconfig of a user of ours."""
        certificate, key = self.authority.client(user, *groups)
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {"server": self.url, "certificate-authority": str(self.authority.certificate)},
                }
            ],
            "users": [{"name": user, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
        }
        # A name with a colon would be taken for two.
        path = self._directory / f"{user.replace(':', '-')}.kubeconfig"
        path.write_text(json.dumps(body))
        return path

    def stop_api_server(self) -> None:
        """Kill the API server alone."""
        self._end("kube-apiserver", signal.SIGKILL)

    def stop(self) -> None:
        """End everything that was started."""
        for name in reversed(tuple(self._processes)):
            self._end(name, signal.SIGTERM if name == "etcd" else signal.SIGKILL)

    def run(
        self, program: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that ends with the rest; what it says is in ``NAME.log`` of the directory."""
        with (self._directory / f"{program.name}.log").open("ab") as log:
            made = subprocess.Popen(
                [str(program), *arguments],
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**os.environ, **(environment or {})},
            )
        self._processes[program.name] = made
        return made

    def said(self, name: str) -> str:
        """What a program said last."""
        return (self._directory / f"{name}.log").read_text(errors="replace")[-2000:]

    def _run(self, name: str, *arguments: str) -> None:
        self.run(assets() / name, *arguments)

    def _end(self, name: str, number: int) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, name: str) -> None:
        certificate, key = self.authority.client("waits", "system:masters")
        trusted = ssl.create_default_context(cafile=str(self.authority.certificate))
        trusted.load_cert_chain(certificate, key)
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._processes[name].poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=trusted) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{name} did not come up: {self.said(name)}")
