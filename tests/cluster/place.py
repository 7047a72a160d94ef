"""A user's repository and settings for one namespace of a cluster, and the commands that he has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from reconciler.cli.app import build_app, split_shared
from tests.cluster.hands import Hands
from tests.cluster.planes import Cluster
from tests.unit.daemon.homes import Home, make_home

_RUNNER = CliRunner()
SAMPLE = Path(__file__).parents[2] / "sample-repo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """See the module. ``hands`` are somebody else's in the same cluster."""

    home: Home
    hands: Hands
    namespace: str

    def commit(self, message: str) -> None:
        """Commit what is in the repository's directory."""
        self.home.git("add", "-A")
        self.home.git("commit", "-q", "-m", message)

    def gitvirt(self, *arguments: str, code: int = 0) -> str:
        """What a command prints."""
        shared, rest = split_shared([*arguments, "--settings", str(self.home.settings_file)])
        done = _RUNNER.invoke(build_app(), [*shared, *rest])
        assert done.exit_code == code, done.output
        return str(done.stdout)

    def plan(self) -> dict[str, Any]:
        """What would be done now."""
        found: dict[str, Any] = json.loads(self.gitvirt("plan", "-o", "json"))
        return found

    def names(self, kind: str) -> set[str]:
        """What there is of a kind."""
        return {document["metadata"]["name"] for document in self.hands.list(kind, self.namespace)}


def place_of(
    directory: Path, cluster: Cluster, namespace: str, files: Mapping[str, str], *, kubeconfig: Path | None = None
) -> Place:
    """A repository with these files; all goes to one namespace, by a kubeconfig that is the cluster's own if no other is named."""
    engine = {
        "kubeconfig": str(kubeconfig or cluster.kubeconfig),
        "namespaces": [namespace],
        "leaseNamespace": namespace,
    }
    home = make_home(directory, dict(files), owner=namespace, engine={"kubevirt": engine}, defaultNamespace=namespace)
    return Place(home=home, hands=cluster.hands, namespace=namespace)


def sample_place(directory: Path, cluster: Cluster, namespace: str, *, kubeconfig: Path | None = None) -> Place:
    """The sample repository as it is."""
    files = {str(path.relative_to(SAMPLE)): path.read_text() for path in SAMPLE.rglob("*") if path.is_file()}
    return place_of(directory, cluster, namespace, files, kubeconfig=kubeconfig)
