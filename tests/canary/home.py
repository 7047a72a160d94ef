"""Runs gitvirt over a repository full of canaries and keeps everything that it says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyrage
import structlog
from typer.testing import CliRunner

from reconciler.cli.app import build_app, split_shared
from tests.canary.canaries import Canaries, Sighting
from tests.canary.manifests import broken_files, valid_files
from tests.canary.places import wrapped_tools

_RUNNER = CliRunner()


class CanaryHome:
    """Secrets of a host and what is said by commands, by name of the place."""

    def __init__(self, directory: Path, namespace: str = "default") -> None:
        self.canaries = Canaries()
        self.identity = pyrage.x25519.Identity.generate()
        self.said: dict[str, bytes] = {}
        self.directory = directory
        self.host = directory / "host"
        self.host.mkdir(mode=0o700)
        self._private("age.key", str(self.identity))
        self.canaries.values["age identity"] = str(self.identity)[20:60].lower()
        hosted = self.host / "secrets" / namespace / "hosted"
        hosted.mkdir(parents=True, mode=0o700)
        self._private(
            f"secrets/{namespace}/hosted/userdata", f"#cloud-config\nx: {self.canaries.plant('host secret')}\n"
        )
        self._private(f"secrets/{namespace}/hosted/unused", self.canaries.plant("unused host secret"))
        self.tools = wrapped_tools(directory, "qemu-img", "git")

    def _private(self, name: str, content: str) -> None:
        path = self.host / name
        path.write_text(content)
        path.chmod(0o600)

    @property
    def secrets_settings(self) -> dict[str, str]:
        return {"directory": str(self.host / "secrets"), "ageKeyFile": str(self.host / "age.key")}

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", "COLUMNS": "250"}

    def valid(self, image: str) -> dict[str, str]:
        return valid_files(self.canaries, self.identity, image)

    def broken(self) -> dict[str, str]:
        return broken_files(self.canaries)

    def ask(self, settings: Path, *arguments: str) -> bytes:
        """One command, in this process; what it says is kept, whatever its end. Its answer."""
        shared, rest = split_shared(["--debug", "--settings", str(settings), *arguments])
        try:
            done = _RUNNER.invoke(build_app(), [*shared, *rest])
        finally:
            structlog.reset_defaults()  # it would write to a stream that is gone
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        place = f"{len(self.said)}: gitvirt {' '.join(arguments)} ({done.exit_code})"
        self.said[place] = done.stdout_bytes + b"\n" + done.stderr_bytes
        return done.stdout_bytes

    def ask_about_now(self, settings: Path) -> None:
        """What changes when secrets and keys do."""
        for arguments in (
            ("status",),
            ("plan", "-o", "json"),
            ("diff",),
            ("get", "all", "-o", "yaml"),
            ("doctor",),
            ("events",),
            ("history", "vm", "inline"),
            ("export", "vm", "inline"),
        ):
            self.ask(settings, *arguments)

    def ask_everything(self, settings: Path, repository: Path, base: str) -> None:
        """Every command that shows something, in every form."""
        for output in ("table", "wide", "yaml", "json", "name"):
            self.ask(settings, "get", "all", "-o", output)
        for arguments in (
            ("status",), ("status", "-o", "json"), ("plan",), ("plan", "-o", "json"), ("diff",), ("audit",),
            ("settings",), ("doctor",), ("trash", "list"), ("reconcile",),
            ("validate", str(repository)), ("validate", str(repository), "-o", "json"),
            *(("validate", str(repository), "--format", form) for form in ("junit", "sarif", "github")),
            ("events", "-o", "json"), ("history", "inline", "-p"), ("logs", "--vm", "inline"), ("export", "--all"),
            ("plan", "--head", str(repository)), ("plan", "--head", str(repository), "-o", "json"),
            ("plan", "--head", str(repository), "-o", "markdown"),
            ("plan", "--base", f"{repository}@{base}", "--head", f"{repository}@HEAD", "-o", "json"),
            ("diff", "--base", f"{repository}@{base}", "--head", f"{repository}@HEAD"),
            ("xml", str(repository)),
        ):  # fmt: skip
            self.ask(settings, *arguments)
        for name in self._objects(settings):
            self.ask(settings, "describe", *name)

    def _objects(self, settings: Path) -> list[tuple[str, str]]:
        answer: Any = json.loads(self.ask(settings, "get", "all", "-o", "json"))
        kinds = {"VirtualMachine": "vm", "DataVolume": "dv", "PersistentVolumeClaim": "pvc"}
        items = answer["items"] if isinstance(answer, dict) else answer
        named = [str(item.get("object", "")).split("/") for item in items]
        return [(kinds[parts[0]], parts[-1]) for parts in named if parts[0] in kinds]

    def assert_unseen(self) -> None:
        """No canary in anything that was said."""
        seen = self.canaries.seen_in(self.said)
        by_canary = {found.canary: found for found in reversed(seen)}
        assert not seen, "\n".join(f"{found} and {_places(seen, name)}" for name, found in sorted(by_canary.items()))


def _places(seen: list[Sighting], name: str) -> str:
    return f"{sum(found.canary == name for found in seen) - 1} more places"
