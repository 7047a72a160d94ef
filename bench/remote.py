"""Following a repository over smart HTTP on loopback: what an idle look costs, whatever the size, and a fetch of one file.

A look's bound is 10 ms of CPU, the server's not counted. A fetch's bound is ``git fetch`` of the same commit from the same server
into a bare clone; both begin when the commit is there. gitvirt's ends later: the pack was in quarantine, the revision is judged, listed and
accepted, and three refs are flushed to disk. Rounds are taken in turn.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure
from reconciler.daemon.clock import SystemClock
from reconciler.model.revision import SourceState
from reconciler.model.source_spec import SourceSpec
from reconciler.source.git_source import GitSource
from tests.remotes.authority import Authority
from tests.remotes.web import WebServer

SIZES = (100, 10_000)
HISTORY = 200
LOOKS, FETCHES = 100, 20
LOOK_CPU_S = 0.010
_FILE = "vms/0/0.yaml"


def measure() -> list[Figure]:
    """Looks and fetches at each size."""
    with tempfile.TemporaryDirectory(prefix="gitvirt-bench-") as name:
        place = Path(name)
        (place / "repositories").mkdir()
        for size in SIZES:
            _make_repository(place / "repositories" / f"{size}.git", size)
        web = WebServer(place / "web", place / "repositories", Authority(place, "bench"))
        try:
            return [figure for size in SIZES for figure in _at_size(place, web, size)]
        finally:
            web.stop()


def _at_size(place: Path, web: WebServer, size: int) -> list[Figure]:
    url, repository = web.plain_url("open", f"{size}.git"), place / "repositories" / f"{size}.git"
    source = GitSource(SourceSpec(url=url), state_directory=place / f"state-{size}", clock=SystemClock())
    clone = place / f"clone-{size}.git"
    _git("clone", "-q", "--bare", url, str(clone))
    try:
        _fetch(source)
        looks = [_cpu_of(lambda: _fetch(source)) for _ in range(LOOKS)]
        ours, theirs = [], []
        for number in range(FETCHES):
            _commit(repository, f"size: {size}\nnumber: {number}\n")
            ours.append(_seconds_of(lambda: _fetch(source)))
            theirs.append(_seconds_of(lambda: _git("-C", str(clone), "fetch", "-q", "origin", "main:main")))
    finally:
        source.close()
    return [
        Figure(
            what=f"idle look over http, {size:,} files: CPU",
            bound="10 ms of CPU",
            measured=tuple(looks),
            bounds=(LOOK_CPU_S,),
            aim=1.0,
        ),
        Figure(
            what=f"fetch of one changed file over http, {size:,} files",
            bound="git fetch of the same",
            measured=tuple(ours),
            bounds=tuple(theirs),
            aim=2.0,
        ),
    ]


def _make_repository(path: Path, size: int) -> None:
    """Files in directories of a hundred, and a history in which one of them changed again and again."""
    _git("init", "-q", "--bare", "-b", "main", str(path))
    lines: list[str] = []
    for number in range(HISTORY):
        lines += ["commit refs/heads/main", f"committer Ada <ada@example.org> {1_700_000_000 + number} +0000", "data 0"]
        for index in range(size if number == 0 else 1):
            body = f"kind: VirtualMachine\nmetadata: {{name: vm-{index}}}\nnumber: {number}\n"
            lines += [f"M 100644 inline vms/{index // 100}/{index % 100}.yaml", f"data {len(body)}", body]
    _git("-C", str(path), "fast-import", "--quiet", data="\n".join(lines).encode() + b"\n")
    _git("-C", str(path), "gc", "-q")


def _commit(repository: Path, body: str) -> None:
    lines = ["commit refs/heads/main", "committer Ada <ada@example.org> now", "data 0", "from refs/heads/main^0"]
    lines += [f"M 100644 inline {_FILE}", f"data {len(body)}", body, ""]
    _git("-C", str(repository), "fast-import", "--quiet", "--date-format=now", data="\n".join(lines).encode())


def _git(*arguments: str, data: bytes = b"") -> None:
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], input=data, env=quiet, check=True, stdout=subprocess.DEVNULL)


def _fetch(source: GitSource) -> None:
    status = source.fetch()
    if status.state is not SourceState.READY:
        raise RuntimeError(status.message)


def _cpu_of(work: Callable[[], None]) -> float:
    """Of this process and of children that ended."""
    begun = _cpu_s()
    work()
    return _cpu_s() - begun


def _cpu_s() -> float:
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in times)


def _seconds_of(work: Callable[[], None]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun
