"""``docs/limits.md`` tells every limit as the code has it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from nodeexec.libvirt.settings import ImportLimits
from reconciler.manifests.limits import ParseLimits, RevisionLimits
from reconciler.settings import ImportSettings, LimitSettings, format_duration
from reconciler.settings.file import settings_schema
from reconciler.settings.sizes import format_size
from reconciler.source.limits import SourceLimits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text()
ROWS = [line.strip("| \n").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]
DATACLASSES = (SourceLimits, ParseLimits, RevisionLimits, ImportLimits)
NOT_A_LIMIT = {"addresses"}
OF_RESOURCES = re.compile(r"_?(MAX|MOST)_(\w*BYTES|CONNECTIONS)\Z")
ELSEWHERE = {
    "reconciler.daemon.control:_MAX_PATH_BYTES",  # that of the kernel for a socket's path
    "reconciler.daemon.suspension:_MAX_BYTES",  # a file of gitvirt's own
    "reconciler.source.commits:_MOST_BYTES",  # how much of a message is shown
    "reconciler.manifests.kinds.vm_volumes:MAX_INLINE_BYTES",  # a rule of the API
}


def value_of(reference: str) -> str:
    """A limit as the page writes it; its unit is in its name."""
    module, _, rest = reference.partition(":")
    owner, _, name = rest.partition(".")
    found: Any = getattr(importlib.import_module(module), owner)
    value = getattr(found(), name) if name else found
    if rest.lower().endswith("_s") and "bytes" not in rest.lower():
        return format_duration(value)
    return format_size(int(value)) if re.search("bytes|memory", rest.lower()) else str(value)


def constants() -> Iterator[str]:
    """Constants of the code that bound a resource, as ``module:NAME``."""
    for package in ("reconciler", "nodeexec"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    name = node.targets[0].id
                    if OF_RESOURCES.match(name):
                        yield f"{module}:{name}"


def test_every_value_is_that_of_the_code() -> None:
    assert len(ROWS) > 50
    wrong = [f"{row[-1]}: {row[0]}" for row in ROWS if value_of(row[-1].strip("`")) != row[0]]
    assert not wrong, f"docs/limits.md says otherwise than the code: {wrong}"


def test_no_limit_is_missing() -> None:
    told = {row[-1].strip("`") for row in ROWS}
    wanted = {
        f"{kind.__module__}:{kind.__name__}.{field.name}"
        for kind in DATACLASSES
        for field in fields(kind)
        if field.name not in NOT_A_LIMIT
    }
    missing = (wanted | set(constants())) - told - ELSEWHERE
    assert not missing, f"tell these in docs/limits.md: {sorted(missing)}"


def test_every_setting_that_is_named_is_one() -> None:
    sections = settings_schema()["properties"]
    for row in ROWS:
        for name in re.findall(r"`((?:limits|imports)\.\w+)`", row[2]):
            section, _, key = name.partition(".")
            assert key in sections[section]["properties"], name


def test_settings_and_code_have_the_same_defaults() -> None:
    limits, source, revision = LimitSettings(), SourceLimits(), RevisionLimits()
    assert (limits.files, limits.fetch_bytes) == (source.files, source.fetch_bytes)
    assert (limits.documents, limits.read_bytes) == (revision.documents, revision.read_bytes)
    assert ImportSettings().max_size_bytes == ImportLimits().max_content_bytes
