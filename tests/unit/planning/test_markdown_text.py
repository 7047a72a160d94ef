"""A plan as a comment of a pull request: whoever opened that chose the names and values in it."""

from __future__ import annotations

import re

import lxml.html
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.model.keys import ObjectKey
from reconciler.model.plain_text import is_plain, one_line
from reconciler.model.plan import Action, Blocked, Cause, Change, Difference, Hold, Impact, Note, Plan
from reconciler.planning.render import render_markdown, render_text

MARKUP = st.sampled_from(
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</details>", "<!--", "-->", "<details>", "&lt;script&gt;",
        "](javascript:alert(1))", "[x](http://evil.example)", "![x](http://evil.example/x.png)", "<http://evil.example>",
        "http://evil.example", "`", "``", "```", "|", "\\|", "\\", "*", "**", "_", "~~", "#", "# h", "\n", "\n\n", "\r",
        "| a | b |", "---", "- [ ] x", "> q", "1. x", "    code", "\t", "@octocat", "#1", "$$x$$", "\x1b[31m", "\u202e",
        "[red]", "{{x}}", "<a href='x'>", "[x]: http://evil.example", "&#x3c;", "&copy;", "\ud800", "::", ":bomb:",
    ]
)  # fmt: skip
TEXT = st.lists(st.one_of(MARKUP, st.text(max_size=6)), max_size=5).map("".join)
NAME = TEXT.filter(bool)
KEY = st.builds(ObjectKey, st.just("VirtualMachine"), NAME, NAME)
DIFFERENCE = st.builds(
    Difference, path=NAME, before=st.none() | TEXT, after=TEXT | st.lists(TEXT, max_size=2),
    impact=st.sampled_from(Impact), reason=TEXT,
)  # fmt: skip
CHANGE = st.builds(
    Change, key=KEY, action=st.sampled_from(Action), cause=st.just(Cause.COMMIT), impact=st.sampled_from(Impact),
    reason=TEXT, expected=st.just(""), revision=TEXT, differences=st.lists(DIFFERENCE, max_size=2).map(tuple),
)  # fmt: skip
PLAN = st.builds(
    Plan,
    plan_id=st.just("0123456789ab"),
    revisions=st.just({}),
    changes=st.lists(CHANGE, max_size=2).map(tuple),
    held=st.lists(
        st.builds(Hold, hold_id=st.just("abc"), rule=st.just("blast-radius"), reason=TEXT,
                  changes=st.lists(CHANGE, max_size=1).map(tuple)),
        max_size=1,
    ).map(tuple),
    blocked=st.lists(st.builds(Blocked, key=KEY, by=TEXT), max_size=1).map(tuple),
    notes=st.lists(st.builds(Note, key=KEY, code=st.just("x"), message=TEXT), max_size=1).map(tuple),
)  # fmt: skip
# Shrinking such large examples takes minutes and tells little more.
QUICKLY = settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
EXPECTED = {
    "div",
    "h3",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "strong",
    "ul",
    "li",
    "details",
    "summary",
}


@QUICKLY
@given(PLAN)
def test_no_markup_of_a_manifest_takes_effect(plan):
    text = render_markdown(plan)
    shown = lxml.html.fromstring(f"<div>{RENDERER.render(text)}</div>")
    for element in shown.iter():
        assert isinstance(element.tag, str), "a comment"
        assert element.tag in EXPECTED, (element.tag, text)
        assert not element.attrib, element.attrib
    assert len(shown.findall(".//details")) == sum(1 for change in plan.changes if change.differences)
    rows = sum(1 + (len(change.differences) + 1 if change.differences else 0) for change in plan.changes)
    assert len(shown.findall(".//tr")) == rows + bool(plan.changes)
    assert len(shown.findall(".//li")) == sum(len(h.changes) for h in plan.held) + len(plan.blocked) + len(plan.notes)
    outside = re.sub(r"(?<!\\)`[^`]*`", "", re.sub(r"<summary>.*?</summary>", "", text))
    assert not re.search(r"@\w", outside)
    assert "://" not in outside


@QUICKLY
@given(PLAN)
def test_the_text_is_one_plain_line_each(plan):
    lines = render_text(plan).split("\n")
    assert all(is_plain(line) for line in lines)
    held = sum(1 + len(h.changes) + sum(len(c.differences) for c in h.changes) for h in plan.held)
    changes = sum(1 + len(change.differences) for change in plan.changes)
    assert len(lines) == changes + held + len(plan.blocked) + len(plan.notes) + 2


@QUICKLY
@given(TEXT)
def test_what_is_shown_is_what_was_said(text):
    plan = Plan(
        plan_id="x", revisions={}, changes=(), notes=(Note(key=ObjectKey("A", "b", "c"), code="x", message=text),)
    )
    shown = lxml.html.fromstring(f"<div>{RENDERER.render(render_markdown(plan))}</div>")
    (item,) = shown.findall(".//li")
    assert "".join(item.itertext()).replace("\u200b", "") == f"A/b/c: {one_line(text, 400)}".strip()
