"""Text from outside put into markdown and the HTML around it, so that no markup of its own takes effect. Pure.

A plan is posted as a comment of a pull request: whoever opened that chose the names and values in it.
"""

from __future__ import annotations

from reconciler.model.plain_text import one_line

_LIMIT = 400
_HTML = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
_MARKS = {ord(mark): f"\\{mark}" for mark in "\\`*_[]#!|~"} | _HTML
_MENTION = {ord("@"): "@\u200b"}
"""A mark of no width after it, so that nobody is called into a conversation by a name in a manifest."""


def in_text(text: str) -> str:
    """Running text or a table's cell, never at the beginning of a line. No address becomes a link by itself."""
    return one_line(text, _LIMIT).translate(_MARKS | _MENTION).replace("://", ":\\//")


def in_code(text: str) -> str:
    """A code span, back-ticks included. Nothing can be escaped in one, and a bar would end it within a table."""
    shown = one_line(text, _LIMIT).replace("`", "'").replace("|", "\u00a6")
    return f"`{shown}`" if shown else ""


def in_html(text: str) -> str:
    """Text of an HTML element."""
    return one_line(text, _LIMIT).translate(_HTML | _MENTION)
