"""The manual page ``gitvirt(1)``, made from the command line itself: ``python -m reconciler.cli.manual``.

*Source*: man-pages(7) and groff_man(7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.cli.command_table import CommandRow, OptionRow, command_table
from reconciler.cli.invocation import SECTIONS
from reconciler.model.errors import GitvirtError

PAGE = Path(__file__).parents[2] / "docs" / "gitvirt.1"

_FILES = (
    ("/etc/gitvirt/settings.yaml", "The settings; every one of them has a default."),
    ("/etc/gitvirt/key", "The key that digests of secrets are made with."),
    ("/var/lib/gitvirt/", "Mirrors of the repositories and the journal. Losing it costs history, never correctness."),
    ("/run/gitvirt/control.sock", "Where commands ask the daemon."),
)
_VARIABLES = (
    ("GITVIRT_SETTINGS", "The settings file, where --settings names none."),
    ("NO_COLOR", "No colour, whatever its value."),
)


def manual(table: Sequence[CommandRow]) -> str:
    """The page in man's own language, the same for the same command line."""
    root, *commands = table
    lines = [
        '.TH GITVIRT 1 "" gitvirt "Virtual machines from Git"',
        ".SH NAME",
        f"gitvirt \\- {_text(_lowered(root.summary))}",
        ".SH SYNOPSIS",
        ".B gitvirt",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        ".SH OPTIONS",
        *_options(root.options),
    ]
    for heading, names in SECTIONS.items():
        lines.append(f'.SH "{_text(heading.upper())}"')
        for name in names:
            lines += [line for row in commands if row.path.split(" ")[0] == name for line in _command(row)]
    lines += [".SH EXIT STATUS", *_exit_codes()]
    lines += [".SH FILES", *_pairs(_FILES), ".SH ENVIRONMENT", *_pairs(_VARIABLES)]
    lines += [".SH EXAMPLES", *_examples(root.examples), ".SH SEE ALSO", "virsh(1), git(1), qemu\\-img(1)"]
    return "\n".join(lines) + "\n"


def _command(row: CommandRow) -> Iterator[str]:
    operands = " ".join(f"\\fI{_text(operand.metavar)}\\fR" for operand in row.operands)
    options = " [\\fIOPTIONS\\fR]" if row.options else ""
    yield f".SS \\fBgitvirt {_text(row.path)}\\fR{options} {operands}".rstrip()
    yield from _paragraphs(row.help)
    for operand in row.operands:
        if operand.help:
            yield from (".TP", f"\\fI{_text(operand.metavar)}\\fR", _line(operand.help))
    yield from _options(row.options)
    if row.examples:
        yield from (".PP", "Examples:")
        yield from _examples(row.examples)


def _options(options: Sequence[OptionRow]) -> Iterator[str]:
    for option in options:
        names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
        metavar = f" \\fI{_text(option.metavar)}\\fR" if option.value is not None else ""
        yield from (".TP", f"{names}{metavar}", _line(option.help))


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, said in pairs:
        yield from (".TP", f"\\fI{_text(name)}\\fR", _line(said))


def _examples(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from (".RS", ".nf", *map(_line, lines), ".fi", ".RE")


def _exit_codes() -> Iterator[str]:
    """Codes of single faults; what 0, 1 and 2 mean is each command's to say."""
    yield "0 means that it was done, 1 and 2 what the command says, or (2) wrong usage. Faults of the surroundings:"
    faults = {kind.exit_code: kind for kind in _kinds(GitvirtError) if kind.exit_code > 2}
    for code, kind in sorted(faults.items()):
        yield from (".TP", str(code), _line((kind.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")))
    yield from (".TP", "70", "A fault in gitvirt itself; the traceback is on standard error.")
    yield from (".TP", "75", "Another replica leads now; started again, this one stands by.")


def _kinds(kind: type[GitvirtError]) -> Iterator[type[GitvirtError]]:
    for inner in kind.__subclasses__():
        if inner.__module__ == kind.__module__:
            yield inner
            yield from _kinds(inner)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield _line(" ".join(paragraph.split()))


def _lowered(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def _line(text: str) -> str:
    """A line of text that man does not take for a request."""
    shown = _text(text)
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown


def _text(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")


def main() -> None:
    """Write the page."""
    from typer.main import get_command

    from reconciler.cli.app import build_app

    PAGE.write_text(manual(command_table(get_command(build_app()))))


if __name__ == "__main__":
    main()
