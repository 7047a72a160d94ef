"""Text from outside made fit for one line of a terminal, a log, a commit message or a table.

A commit's author, a file's name or a hypervisor's error can hold anything: line breaks that forge a trailer, escape
sequences that repaint a terminal, direction marks that reverse what is read.
"""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\ufffd"
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BREAKS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")


def is_plain(text: str) -> bool:
    """Whether every character shows as itself: no control or format characters, line separators or lone surrogates."""
    return text.isprintable() or not any(unicodedata.category(character) in _UNSAFE for character in text)


def one_line(text: str, limit: int = 500) -> str:
    """``text`` as one safe line of at most ``limit`` characters.

    Runs of white space become one space, other unsafe characters U+FFFD, and what is cut off ends in ``…``. The result
    is its own `one_line` and can be encoded as UTF-8.
    """
    # Nothing beyond this can reach the result, and a megabyte of hostile text costs no more than a line.
    begun = text[: 16 * limit + 64]
    shown = begun if begun.isprintable() else "".join(_safe(character) for character in begun)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def plain_lines(text: str, limit: int = 500, most: int = 200) -> str:
    """``text`` as at most ``most`` safe lines, each as `one_line` makes it but with its indentation kept: for tracebacks,
    whose last lines tell most, so that it is the first ones that are left out.
    """
    lines = text[-16 * limit * most :].replace("\r\n", "\n").split("\n")
    kept = lines[-most:]
    safe = (" " * min(len(line) - len(line.lstrip(" ")), limit) + one_line(line, limit) for line in kept)
    return "\n".join(("…", *safe) if len(kept) < len(lines) else safe)


def escaped(text: str) -> str:
    """``text`` with every unsafe character as ``\\u{HEX}`` and backslashes doubled: safe to show, and still telling."""
    return "".join(
        "\\\\" if character == "\\" else character if is_plain(character) else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def _safe(character: str) -> str:
    if character.isprintable():
        return character
    if character in _BREAKS or character.isspace():
        return " "
    return REPLACEMENT if unicodedata.category(character) in _UNSAFE else character
