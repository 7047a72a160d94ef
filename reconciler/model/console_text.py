"""What a guest wrote to its serial console, as text that can be shown: a guest may write anything.

Pure; works on pieces as they come. Escape sequences (colours, cursor, title) and control characters go, line breaks of all
kinds become one, bytes that are no UTF-8 become U+FFFD.
"""

from __future__ import annotations

import codecs
import re

from reconciler.model.plain_text import REPLACEMENT

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48, 5.4): colours, cursor, erasing
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS and the other strings: titles, palettes
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # two-character sequences
)
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)|\r+)\Z")
_BREAK = re.compile(r"\r+\n?")
_LONGEST_SEQUENCE = 4096


class ConsoleText:
    """`feed` it bytes in order; `end` gives what was kept back."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """The text of these bytes, but for an ending that the next bytes may belong to."""
        text = self._kept + self._decoder.decode(data, last)
        self._kept = ""
        text = _SEQUENCE.sub("", text)
        if not last:
            begun = _UNFINISHED.search(text, max(0, len(text) - _LONGEST_SEQUENCE))
            at = begun.start() if begun else len(text)
            text, self._kept = text[:at], text[at:]
        return "".join(map(_shown, _BREAK.sub("\n", text)))

    def end(self) -> str:
        """The rest."""
        return self.feed(b"", last=True)


def _shown(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return "" if character < " " or character == "\x7f" else REPLACEMENT
