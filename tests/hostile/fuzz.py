"""What must hold for any bytes, and changes of the corpus' files that reach deeper than random bytes.

``python -m tests.hostile.fuzz [--seconds N]`` (``make fuzz``) lets atheris look for inputs that break it, guided by the coverage of the
reader, the rules and the resolver, beginning with the corpus.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import is_plain
from tests.hostile.corpus import SMALL, vm

GOOD = ObjectKey("VirtualMachine", "default", "good")
GOOD_FILES: Mapping[str, bytes] = {"good.yaml": vm("good").encode()}
PACKAGES = ("reconciler.manifests", "reconciler.planning", "reconciler.daemon.cycle_declared", "nodeexec.libvirt")


def hold(data: bytes) -> Mapping[ObjectKey, Any]:
    """Take ``data`` in beside a good file; the objects there are then.

    Raises:
        AssertionError: something does not hold.
    """
    from tests.hostile.way_in import take_in

    problems, objects = take_in({"file.yaml": data, **GOOD_FILES})
    for found in problems:
        assert found.place.file in ("file.yaml", "good.yaml"), found
        assert len(found.message) + len(found.hint) < 2000, found
        assert is_plain(found.message + found.hint + found.path), found
    # The file may hold another object of the same name; then neither is taken, and that is told.
    twice = any(found.code == "object-duplicate" for found in problems)
    assert twice or GOOD in objects, problems
    return objects


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A file with a few changes of the kinds that people and machines make."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 4, 40)))
        lines = data.split(b"\n")
        match chance.randrange(7):
            case 0:
                data = data[:at] + data[end:]
            case 1:
                data = data[:at] + bytes(chance.randrange(256) for _ in range(chance.randint(1, 3))) + data[at:]
            case 2:
                data = data[:at] + chance.choice(_TOKENS) + data[end:]
            case 3:
                data = data[:at] + data[at:end] * chance.choice((2, 50)) + data[end:]
            case 4:
                other = chance.choice(others)
                data = data[:at] + other[chance.randrange(len(other) + 1) :][:200] + data[end:]
            case 5:
                chance.shuffle(lines)
                data = b"\n".join(lines)
            case 6:
                data = b"\n".join([*lines, chance.choice(lines)])
    return data[:20_000]


_TOKENS = (
    b"*a", b"&a ", b"<<: ", b"!!binary ", b"!!int ", b"---\n", b"...\n", b"? ", b"| \n", b">-\n", b"{}", b"[]", b"~", b"\0", b"\xef\xbb\xbf",
    b"\xff", b"\\ud800", b"9999999999999999999999", b"-1", b"1e400", b"0o777", b"kind: List\nitems:\n", b"null", b"\t", b"'", b'"', b"%YAML 1.1\n",
)  # fmt: skip


def main() -> None:
    """Fuzz until the time is over or something breaks; what broke it stands in the working directory."""
    import atheris

    seconds = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 60
    with atheris.instrument_imports(include=list(PACKAGES)):
        import tests.hostile.way_in  # noqa: F401  (imported here, it is instrumented)
    seeds = [case.data() for case in SMALL]
    seeds = [data for data in seeds if len(data) < 4000]

    def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        changed = mutated(data, chance, seeds) if chance.random() < 0.7 else atheris.Mutate(data, max_size)
        return bytes(changed[:max_size])

    def one_input(data: bytes) -> None:
        hold(data)

    with tempfile.TemporaryDirectory(prefix="gitvirt-fuzz-") as name:
        for number, data in enumerate(seeds):
            (Path(name) / f"seed-{number}").write_bytes(data)
        bounds = [
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=2048",
            f"-max_total_time={seconds}",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], name, *bounds], one_input, custom_mutator=custom_mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
