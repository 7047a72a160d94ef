"""One measurement of loading manifests, in a process of its own so that memory and caches are its own; prints JSON.

Times are seconds of CPU, so that a busy machine does not count, and beside them seconds that passed.

python -m bench.load_once bound|load|change REPOSITORY STATE
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import yaml

from bench.corpus import bring_changes, follow, move_main
from reconciler.daemon.file_cache import FileCache
from reconciler.daemon.fingerprint import fingerprint
from reconciler.daemon.loaded_files import FileLoader, LoadedFiles
from reconciler.model.origin import Origin
from reconciler.model.revision import Snapshot, SourceState
from reconciler.source.git_source import GitSource

Found = dict[str, list[float]]


def bound(repository: Path, state: Path) -> Found:
    """PyYAML over libyaml on the very same bytes, which are in memory already; nothing is kept."""
    source = follow(repository, state)
    texts = [source.read_blob(blob) for blob in _accepted(source).files.values()]
    watch = _Watch()
    for text in texts:
        for _ in yaml.load_all(text, yaml.CSafeLoader):
            pass
    return {"seconds": [watch.cpu_s], "passed": [watch.passed_s]}


def load(repository: Path, state: Path) -> Found:
    """Objects present locally → validated documents, through the cache in ``state``, be it empty or full."""
    source = follow(repository, state)
    watch = _Watch()
    files, cache = _loading(source, state)
    files.load(_accepted(source))
    cache.flush()
    seconds, passed = watch.cpu_s, watch.passed_s
    assert not any(file.problems for file in files.files.values())
    documents = sum(len(file.documents) for file in files.files.values())
    return {"seconds": [seconds], "passed": [passed], "peak_mb": [peak_mb()], "documents": [documents]}


def change(repository: Path, state: Path) -> Found:
    """One VM changed, objects present locally: the ref is seen, the revision listed and judged, its documents validated."""
    source = follow(repository, state)
    files, _ = _loading(source, state)
    files.load(_accepted(source))
    commits = bring_changes(repository, state)
    os.sync()  # what was copied and fetched is not to be waited for when refs are flushed
    found: Found = {"listed": [], "loaded": [], "passed": []}
    for commit in commits:
        move_main(repository, commit)
        watch = _Watch()
        status = source.fetch()
        snapshot = _accepted(source)
        listed = watch.cpu_s
        changed = files.load(snapshot)
        found["loaded"].append(watch.cpu_s - listed)
        found["listed"].append(listed)
        found["passed"].append(watch.passed_s)
        assert status.state is SourceState.READY and snapshot.revision.commit == commit
        assert len(changed.after) == 1
    return found


class _Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._cpu_s, self._passed_s = time.process_time(), time.perf_counter()

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that this process took since."""
        return time.process_time() - self._cpu_s

    @property
    def passed_s(self) -> float:
        """Seconds that passed since."""
        return time.perf_counter() - self._passed_s


def _loading(source: GitSource, state: Path) -> tuple[LoadedFiles, FileCache]:
    cache = FileCache(state / "cache" / "files.sqlite", fingerprint("default"), sys.exit)
    return LoadedFiles(FileLoader("default", cache), source, Origin()), cache


def _accepted(source: GitSource) -> Snapshot:
    snapshot = source.accepted()
    assert snapshot is not None
    return snapshot


def peak_mb() -> float:
    """The most memory that this process ever had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    what = {"bound": bound, "load": load, "change": change}[sys.argv[1]]
    print(json.dumps(what(Path(sys.argv[2]), Path(sys.argv[3]))))
