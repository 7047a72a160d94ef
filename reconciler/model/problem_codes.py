"""Every problem code there is, in one place: what ``docs/problems.md`` and the severity of a `Problem` come from.

A package that reports a new fault adds its code to a tuple under ``reconciler/model/codes/`` (a new area gets a file and a
row in `AREAS`) and reports it through `problem`.
"""

from __future__ import annotations

from reconciler.model.codes import (
    engines,
    files,
    objects,
    secrets,
    sets,
    vm,
    vm_devices,
)
from reconciler.model.codes.entry import ProblemCode
from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import escaped, is_plain, one_line
from reconciler.model.problem import Place, Problem, Severity

AREAS: tuple[tuple[str, tuple[ProblemCode, ...]], ...] = (
    ("Files and YAML", files.FILES),
    ("Shape of an object", files.SCHEMA),
    ("Names, labels and amounts", (*objects.METADATA, *vm.VM_LABELS)),
    ("VirtualMachine", vm.VM),
    ("Memory and CPUs", vm.VM_COMPUTE),
    ("Firmware, machine and clock", vm.VM_FIRMWARE),
    ("Disks and volumes", vm_devices.VM_STORAGE),
    ("Interfaces and networks", vm_devices.VM_NETWORK),
    ("Other devices", vm_devices.VM_DEVICES),
    ("Placement, probes and credentials", vm.VM_PLACEMENT),
    ("Claims, DataVolumes, Secrets and ConfigMaps", objects.STORAGE),
    ("NetworkAttachmentDefinition", objects.NETWORK),
    ("Secrets", secrets.SECRETS),
    ("Between objects", sets.CROSS),
    ("Between sources", sets.SOURCES),
    ("On the host of these settings", sets.HOST),
    ("What an engine can do", engines.ENGINE),
)
"""All codes by area: heading and codes, in the order of the documentation."""

_LONGEST = 1000
_BY_CODE = {entry.code: entry for _, entries in AREAS for entry in entries}


def problem(
    code: str, place: Place, message: str, *, object: ObjectKey | None = None, path: str = "", hint: str = ""
) -> Problem:
    """A `Problem` with the severity that its code is registered with. Its texts are made one plain line each: they quote what stands in
    a repository, and go to terminals, logs and the journal.

    Raises:
        KeyError: the code is not registered, which is a mistake in gitvirt.
    """
    severity = _BY_CODE[code].severity
    return Problem(
        code=code,
        severity=severity,
        place=place,
        message=_plain(message),
        object=object,
        path=path if is_plain(path) else escaped(path),
        hint=_plain(hint),
    )


def _plain(text: str) -> str:
    return text if len(text) <= _LONGEST and is_plain(text) else one_line(text, _LONGEST)


def severity_of(code: str) -> Severity:
    """The severity that a code is registered with."""
    return _BY_CODE[code].severity


def meaning_of(code: str) -> str:
    """What a code means in general, in words that quote nobody's input."""
    return _BY_CODE[code].meaning


def code_entry(code: str) -> ProblemCode:
    """What is written down about a code.

    Raises:
        KeyError: the code is not registered.
    """
    return _BY_CODE[code]


def codes_table() -> str:
    """The tables of ``docs/problems.md``, in markdown."""
    parts = []
    for heading, entries in AREAS:
        told = (
            (f"`{entry.code}`", entry.severity, _in_a_cell(entry.meaning), _in_a_cell(entry.remedy))
            for entry in entries
        )
        rows = [f"| {' | '.join(cells)} |" for cells in told]
        parts.append(
            "\n".join(
                [f"## {heading}", "", "| Code | Severity | Meaning | What to do |", "| --- | --- | --- | --- |", *rows]
            )
        )
    return "\n\n".join(parts) + "\n"


def _in_a_cell(text: str) -> str:
    """Text of a table's cell: a bar in it would end it, in code as well."""
    return text.replace("|", "\\|")
