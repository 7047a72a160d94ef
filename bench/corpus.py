"""Repositories of 1,000 to 100,000 VM manifests of about 2 KB, as `file://` remotes and as fetched mirrors."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.daemon.clock import SystemClock
from reconciler.model.source_spec import SourceSpec
from reconciler.source.git_source import GitSource

TEAMS = 40
CHANGES = 20
_AUTHOR = "bench <bench@example.org> 1700000000 +0000"
_NETWORK = b"""\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: backend, namespace: default}
spec:
  config: '{"cniVersion": "0.3.1", "name": "backend", "type": "bridge", "bridge": "br-backend"}'
"""
_VM = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: {name}
  namespace: {team}
  labels:
    app: {name}
    tier: backend
    app.kubernetes.io/part-of: shop
  annotations:
    description: "The machine {name} of {team}; ask before you restart it."
spec:
  runStrategy: Always
  template:
    metadata:
      labels:
        kubevirt.io/vm: {name}
    spec:
      hostname: {name}
      terminationGracePeriodSeconds: 60
      domain:
        cpu:
          sockets: 1
          cores: {cores}
          threads: 1
        memory:
          guest: {memory}Mi
        devices:
          disks:
            - name: root
              bootOrder: 1
              disk:
                bus: virtio
            - name: data
              disk:
                bus: virtio
            - name: seed
              cdrom:
                bus: sata
          interfaces:
            - name: default
              model: virtio
              masquerade: {{}}
            - name: backend
              model: virtio
              bridge: {{}}
              macAddress: {mac}
          rng: {{}}
      networks:
        - name: default
          pod: {{}}
        - name: backend
          multus:
            networkName: default/backend
      volumes:
        - name: root
          dataVolume:
            name: {name}-root
        - name: data
          dataVolume:
            name: {name}-data
        - name: seed
          cloudInitNoCloud:
            userData: |
              #cloud-config
              hostname: {name}
              users:
                - name: admin
                  sudo: ALL=(ALL) NOPASSWD:ALL
                  ssh_authorized_keys:
                    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0yRm4vqJ0x5nq8bXcTqkz2 admin@example.org
  dataVolumeTemplates:
    - metadata:
        name: {name}-root
      spec:
        source:
          http:
            url: http://images.example.org/debian-12.qcow2
        storage:
          resources:
            requests:
              storage: 10Gi
    - metadata:
        name: {name}-data
      spec:
        source:
          blank: {{}}
        storage:
          resources:
            requests:
              storage: {storage}Gi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A repository of ``count`` VMs, ``per_file`` of them in a file."""

    count: int
    per_file: int = 1

    @property
    def name(self) -> str:
        """Short, for directories."""
        return f"{self.count}x{self.per_file}"

    @property
    def shown(self) -> str:
        """For tables."""
        return f"{self.count:,} VMs, {'one' if self.per_file == 1 else self.per_file} a file"

    def files(self) -> Iterator[tuple[str, bytes]]:
        """(path, bytes) of every file: the network, then the VMs, in directories by team or in files of many."""
        yield "networks/backend.yaml", _NETWORK
        if self.per_file == 1:
            for number in range(self.count):
                yield f"vms/{_team(number)}/{_name(number)}.yaml", manifest(number)
            return
        for first in range(0, self.count, self.per_file):
            numbers = range(first, min(first + self.per_file, self.count))
            yield f"vms/batch-{first:06d}.yaml", b"---\n".join(map(manifest, numbers))

    def changed_file(self, change: int) -> tuple[str, bytes]:
        """Another VM for each number of a change, with other memory, in the file that it stands in."""
        number = (change + 1) * self.count // (CHANGES + 2)
        first = number - number % self.per_file
        path = f"vms/{_team(number)}/{_name(number)}.yaml" if self.per_file == 1 else f"vms/batch-{first:06d}.yaml"
        numbers = range(first, min(first + self.per_file, self.count))
        return path, b"---\n".join(manifest(one, memory=3072 if one == number else None) for one in numbers)


def manifest(number: int, memory: int | None = None) -> bytes:
    """The VM of a number."""
    pairs = ":".join(f"{(number >> shift) & 255:02x}" for shift in (24, 16, 8, 0))
    text = _VM.format(
        name=_name(number),
        team=_team(number),
        cores=1 + number % 8,
        memory=memory or 512 * (1 + number % 5),
        mac=f"52:54:{pairs}",
        storage=10 + number % 50,
    )
    return text.encode()


def _name(number: int) -> str:
    return f"vm-{number:06d}"


def _team(number: int) -> str:
    return f"team-{number % TEAMS:02d}"


def build(corpus: Corpus, directory: Path) -> Path:
    """A bare repository, made once: ``main`` holds the corpus, ``changed`` `CHANGES` commits more, of one VM each."""
    repository = directory / f"{corpus.name}.git"
    if (repository / "made").exists():
        return repository
    shutil.rmtree(repository, ignore_errors=True)
    _git("init", "--quiet", "--bare", "--initial-branch=main", str(repository))
    with subprocess.Popen(["git", "-C", str(repository), "fast-import", "--quiet"], stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        importer.stdin.writelines(_commit("main", "VMs", corpus.files()))
        for change in range(CHANGES):
            parent = "" if change else "main"
            importer.stdin.writelines(_commit("changed", "One VM", [corpus.changed_file(change)], parent=parent))
    if importer.returncode:
        raise RuntimeError("git fast-import failed")
    _git("-C", str(repository), "repack", "-adq", "--depth=10", "--window=5")
    (repository / "made").touch()
    return repository


def _commit(branch: str, subject: str, files: Iterable[tuple[str, bytes]], parent: str = "") -> Iterator[bytes]:
    yield f"commit refs/heads/{branch}\ncommitter {_AUTHOR}\ndata {len(subject)}\n{subject}\n".encode()
    if parent:
        yield f"from refs/heads/{parent}\n".encode()
    for path, data in files:
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
    yield b"\n"


def follow(repository: Path, state: Path) -> GitSource:
    """A source that follows its ``main``, with its mirror in ``state``."""
    return GitSource(SourceSpec(url=str(repository)), state_directory=state, clock=SystemClock())


def bring_changes(repository: Path, state: Path) -> list[str]:
    """Put the objects of ``changed`` into the mirror; its commits, oldest first."""
    (mirror,) = (link for link in (state / "source").iterdir() if link.is_symlink())
    _git("-C", str(mirror.resolve()), "fetch", "--quiet", str(repository), "changed:refs/bench/changed")
    return _git("-C", str(repository), "rev-list", "--reverse", "main..changed").split()


def move_main(repository: Path, commit: str) -> None:
    """Let ``main`` of the remote stand at a commit."""
    _git("-C", str(repository), "update-ref", "refs/heads/main", commit)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout
