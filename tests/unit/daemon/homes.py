"""A whole gitvirt in a directory: settings, a real repository, and the simulated engine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from reconciler.settings import Settings, load_settings


def vm_text(name: str, *, run_strategy: str = "Always", cores: int = 1, claim: str = "") -> str:
    """A VM with one disk of a claim, and the claim."""
    claim = claim or f"{name}-root"
    return f"""apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  runStrategy: {run_strategy}
  template:
    spec:
      domain:
        cpu: {{cores: {cores}}}
        memory: {{guest: 256Mi}}
        devices:
          disks: [{{name: root, disk: {{bus: virtio}}}}]
          interfaces: [{{name: default, masquerade: {{}}}}]
      networks: [{{name: default, pod: {{}}}}]
      volumes: [{{name: root, persistentVolumeClaim: {{claimName: {claim}}}}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {claim}}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 1Gi}}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """``directory`` holds everything; nothing outside it is touched but the lock."""

    directory: Path

    @property
    def repository(self) -> Path:
        """The repository of manifests."""
        return self.directory / "repo"

    @property
    def settings_file(self) -> Path:
        """The settings file."""
        return self.directory / "settings.yaml"

    @property
    def settings(self) -> Settings:
        """The effective settings."""
        return load_settings(self.settings_file)

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
        }  # fmt: skip
        done = subprocess.run(
            ["git", "-C", str(self.repository), *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        """Write files (None removes one) and commit; the commit's hash."""
        for name, text in files.items():
            path = self.repository / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


def make_home(directory: Path, files: dict[str, str], **settings: object) -> Home:
    """A home with one commit."""
    home = Home(directory=directory)
    home.repository.mkdir()
    home.git("init", "-q", "-b", "main")
    home.commit(dict(files), "first")
    body: dict[str, object] = {
        "owner": f"test-{directory.name}"[:63],
        "source": {"url": str(home.repository), "interval": "1s", "jitter": "0s"},
        "stateDirectory": str(directory / "state"),
        "runtimeDirectory": str(directory / "run"),
        "keyFile": str(directory / "key"),
        "engine": {"simulated": None},
        "web": {"listen": "off"},
        "mode": "enforce",
        **settings,
    }
    home.settings_file.write_text(yaml.safe_dump(body))
    return home
