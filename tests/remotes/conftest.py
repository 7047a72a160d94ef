"""Real servers, one of each for all tests, over repositories of each test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model.source_spec import SourceAuth, SourceSpec
from reconciler.source.git_source import GitSource
from tests.remotes.authority import Authority
from tests.remotes.sshd import SshServer, make_key
from tests.remotes.web import Proxy, WebServer
from tests.unit.source.conftest import SteppedClock, Upstream

_COUNT = itertools.count()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("remotes")


@pytest.fixture(scope="session")
def repositories(place: Path) -> Path:
    (place / "repositories").mkdir()
    return place / "repositories"


@pytest.fixture(scope="session")
def authority(place: Path) -> Authority:
    return Authority(place, "gitvirt-test-authority")


@pytest.fixture(scope="session")
def web(place: Path, repositories: Path, authority: Authority) -> Iterator[WebServer]:
    server = WebServer(place / "web", repositories, authority)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def proxy(place: Path, web: WebServer) -> Iterator[Proxy]:
    server = Proxy(place / "tinyproxy", web.https_port)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def client_key(place: Path) -> Path:
    make_key(place / "client")
    return place / "client"


@pytest.fixture(scope="session")
def sshd(place: Path, client_key: Path) -> Iterator[SshServer]:
    """Passes the wish for protocol version 2 on, as hosting services do."""
    server = SshServer(place / "sshd", client_key.with_suffix(".pub").read_text(), speaks_2=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stock_sshd(place: Path, client_key: Path) -> Iterator[SshServer]:
    """As a distribution sets it up: git speaks version 0 behind it."""
    server = SshServer(place / "stock-sshd", client_key.with_suffix(".pub").read_text(), speaks_2=False)
    yield server
    server.stop()


@pytest.fixture
def upstream(repositories: Path) -> Upstream:
    """A work tree that pushes to a bare repository which the servers serve; ``upstream.served`` is that one's name."""
    name = f"r{next(_COUNT)}"
    made = Upstream(repositories / name)
    made.commit({"vms/web.yaml": "kind: VirtualMachine\n", "README.md": "read me\n"})
    made.git("init", "-q", "--bare", "-b", "main", f"../{name}.git")
    made.git("remote", "add", "origin", f"../{name}.git")
    made.served = f"{name}.git"
    made.git("push", "-q", "origin", "main")
    return made


@pytest.fixture
def sources() -> Iterator[list[GitSource]]:
    made: list[GitSource] = []
    yield made
    for source in made:
        source.close()


@pytest.fixture
def make_source(tmp_path: Path, authority: Authority, sources: list[GitSource]) -> Callable[..., GitSource]:
    def make(url: str, *, auth: SourceAuth = SourceAuth(), **changes: object) -> GitSource:
        limits = {"limits": changes.pop("limits")} if "limits" in changes else {}
        spec = SourceSpec(**{"url": url, "auth": auth, "ca_file": authority.certificate, "timeout_s": 20.0, **changes})
        source = GitSource(spec, state_directory=tmp_path / "state", clock=SteppedClock(), **limits)
        sources.append(source)
        return source

    return make
