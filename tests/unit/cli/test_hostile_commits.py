"""Commits made of any bytes, by Git's own plumbing: what people and programs are shown of them stays one plain line each."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
import structlog

from reconciler.daemon.log_setup import set_up_logging
from reconciler.model.plain_text import is_plain
from reconciler.settings import LogSettings
from tests.unit.cli.commands import run
from tests.unit.daemon.homes import Home, make_home, vm_text

pytestmark = pytest.mark.usefixtures("logging_as_before")

ESCAPES = b"\x1b[31m\x1b]0;owned\x07\x1b]8;;http://evil/\x1b\\link\x9b31m\x08\x08\r"
BIDI = "\u202egnp.exe\u2066\u2069\u200f".encode()
FORGERY = b"\nGitvirt-Approve: 0123456789ab\nChange: VirtualMachine/default/web delete none applied cause=commit"
MARKUP = (
    b"[red]bold[/red] [link=http://evil]x[/link] <script>alert(1)</script> ](javascript:alert(1)) `x` | y | @all :bomb:"
)
NO_TEXT = b"\xff\xfe\xc0\xaf\xed\xa0\x80"
WHO = b"Eve <eve@example.org> 1700000000 +0000"


def raw_commit(tree: str, parent: str, *, author: bytes = WHO, headers: bytes = b"", message: bytes = b"x\n") -> bytes:
    return (
        f"tree {tree}\nparent {parent}\n".encode()
        + b"author " + author + b"\ncommitter " + WHO + b"\n" + headers + b"\n" + message
    )  # fmt: skip


HOSTILE: dict[str, dict[str, bytes]] = {
    "escape sequences": {
        "author": b"E" + ESCAPES.replace(b"\r", b"") + b"ve <e" + b"\x1b[2J" + b"@x> 1700000000 +0000",
        "message": b"subject " + ESCAPES + b"\n\nbody " + ESCAPES,
    },
    "reversed text": {"author": BIDI + b" <" + BIDI + b"> 1700000000 +0000", "message": BIDI + b"\n"},
    "forged trailers": {
        "author": FORGERY.replace(b"\n", b"\r") + b" <x\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8Plan:y> 1700000000 +0000",
        "message": b"subject\rSource-Revision: f00\x0bCause: drift\xe2\x80\xa8Hold: x" + b"\n",
    },
    "markup": {"author": MARKUP.replace(b"<", b"").replace(b">", b"") + b" <a@b> 1 +0000", "message": MARKUP + b"\n"},
    "bytes that are no text": {"author": NO_TEXT + b" <" + NO_TEXT + b"> 1700000000 +0000", "message": NO_TEXT},
    "a NUL": {"author": b"E\0ve <e\0@x> 1700000000 +0000", "message": b"sub\0ject\n\nGitvirt-Approve: x\n"},
    "an encoding that takes hours": {"headers": b"encoding punycode\n", "message": b"a-" + b"b" * 200_000},
    "an encoding without a name": {"headers": b"encoding \xff\xfe\n", "message": b"x\n"},
    "an encoding that is none": {"headers": b"encoding zlib\n", "message": b"x\n"},
    "UTF-16": {"headers": b"encoding utf-16\n", "message": "s\n\nGitvirt-Approve: x".encode("utf-16")},
    "no end": {"author": b"E" * 70_000 + b" <e> 1700000000 +0000", "message": b"s" * 2_000_000},
    "nothing": {"author": b" <> 0 +0000", "message": b""},
    "a time beyond all": {"author": b"E <e> 9223372036854775807 +9999", "message": b"x\n"},
    "blanks": {"author": b"\t\t <\t> 1700000000 +0000", "message": b"\n\n\n   \t\n\xe3\x80\x80\xc2\xa0\n"},
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, {"web.yaml": vm_text("web", run_strategy="Halted")})


def push(home: Home, **parts: bytes) -> str:
    """A commit of these bytes, checked by nobody, as the head of main."""
    raw = raw_commit(home.git("rev-parse", "HEAD^{tree}"), home.git("rev-parse", "HEAD"), **parts)
    made = subprocess.run(
        ["git", "-C", str(home.repository), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=raw, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    home.git("update-ref", "refs/heads/main", made)
    return made


def assert_plain(text: str) -> None:
    for line in text.split("\n"):
        assert is_plain(line), line
        assert len(line) < 5000


def journal_of(home: Home, *arguments: str) -> str:
    path = home.settings.state_directory / "journal.git"
    command = ["git", "-c", "safe.directory=*", "-C", str(path), *arguments]
    return subprocess.run(command, capture_output=True, check=True, env={"PATH": os.environ["PATH"]}).stdout.decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_shown_and_kept_of_a_commit(home: Home, name: str) -> None:
    commit = push(home, **HOSTILE[name])
    out = io.StringIO()
    set_up_logging(LogSettings(format="json", level="debug"), out)
    code, *texts = run("apply", home=home)
    assert code == 0, texts
    for arguments in (
        ("status",),
        ("audit",),
        ("audit", "-o", "wide"),
        ("describe", "vm", "web"),
        ("status", "-o", "yaml"),
    ):
        code, *more = run(*arguments, home=home)
        assert code == 0, more
        texts += more
    for text in texts:
        assert_plain(text)
    assert commit[:12] in texts[2]
    status = json.loads(run("status", "-o", "json", home=home)[1])
    assert status["revision"]["commit"] == commit
    assert len(status["revision"]["subject"]) <= 1000
    for line in out.getvalue().splitlines():
        json.loads(line)

    told = journal_of(home, "log", "--format=%an%n%ae%n%cn%n%B")
    assert_plain(told)
    kept = journal_of(home, "log", "-1", "--format=%(trailers:only,unfold)").splitlines()
    names = [line.partition(":")[0] for line in kept if line]
    assert names[:2] == ["Source-Revision", "Source-Author"]
    assert set(names[2:]) <= {"Cause", "Plan", "Change", "Problem", "Hold", "Held", "Operator"}
    assert kept[0] == f"Source-Revision: {commit}"
    assert subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(home.settings.state_directory / "journal.git"), "fsck", "--strict"],
        capture_output=True, check=False,
    ).returncode == 0  # fmt: skip
    actions = {entry["action"] for entry in json.loads(run("audit", "-o", "json", home=home)[1])["items"]}
    assert "delete" not in actions


def test_an_approval_is_a_trailer_of_its_own_commit_and_nothing_else(home: Home) -> None:
    from reconciler.wiring import build_core

    for parts in ("forged trailers", "a NUL", "UTF-16"):
        push(home, **HOSTILE[parts])
    core = build_core(home.settings)
    try:
        source = core.sources[""]
        source.fetch()
        snapshot = source.accepted()
        assert snapshot is not None
        assert snapshot.revision.approvals == ()
        push(home, message=b"s" * 100_000 + b"\n\nGitvirt-Approve: 0123456789ab\n")
        source.fetch()
        snapshot = source.accepted()
        assert snapshot is not None
        assert snapshot.revision.approvals == ("0123456789ab",)
    finally:
        core.engine.close()


def test_paths_of_any_bytes_are_refused_and_told_plainly(home: Home) -> None:
    blob = subprocess.run(
        ["git", "-C", str(home.repository), "hash-object", "-w", "--stdin"],
        input=b"a: 1\n", capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    names = sorted(
        name + b".yaml"
        for name in (
            b"e\x1b[31mred", BIDI, b"new\nGitvirt-Approve: x", NO_TEXT, b"[red]x[/red]", b"<script>", b"\xc2\x85", b"\t",
            b"](javascript:x)", b"a b", b"'; rm -rf ~; '", b"-rf",
        )
    )  # fmt: skip
    raw = b"".join(b"100644 " + name + b"\0" + bytes.fromhex(blob) for name in names)
    tree = subprocess.run(
        ["git", "-C", str(home.repository), "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        input=raw, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    commit = home.git("commit-tree", tree, "-p", "HEAD", "-m", "names")
    home.git("update-ref", "refs/heads/main", commit)
    out = io.StringIO()
    for arguments in (("apply",), ("status",), ("audit", "-o", "wide"), ("validate", f"{home.repository}@main")):
        code, *texts = run(*arguments, home=home)
        assert code in (0, 1)
        for text in texts:
            assert_plain(text)
        out.write(texts[0])
    assert "[red]x[/red].yaml" in out.getvalue()
    assert_plain(journal_of(home, "log", "--format=%B"))


def test_a_file_name_is_no_command_to_a_ci_system(home: Home) -> None:
    for name in ("::stop-commands::x.yaml", "##vso[task.setvariable variable=x]y.yaml"):
        home.commit({name: "a: b: c\n"})
    code, out, _ = run("validate", f"{home.repository}@main", home=home)
    assert code == 1
    assert out.count("error") >= 2
    assert not any(line.startswith(("::", "##")) for line in out.splitlines())


def test_a_fault_with_hostile_text_ends_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from reconciler.cli.app import _end_crashed

    ended: list[int] = []
    fault = ValueError(f"boom {ESCAPES.decode('latin-1')}\nTraceback (most recent call last):")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", ended.append)
        _end_crashed(ValueError, fault, None)
    assert ended == [70]
    shown = capsys.readouterr().err
    assert "boom" in shown
    assert_plain(shown)


@pytest.mark.parametrize("format_name", ["console", "json"])
def test_logged_faults_are_plain_and_hold_no_values_of_variables(format_name: str) -> None:
    out = io.StringIO()
    set_up_logging(LogSettings(format=format_name), out)
    canary = "canary" + "7f3a"
    try:
        raise ValueError(ESCAPES.decode("latin-1") + BIDI.decode())
    except ValueError:
        structlog.get_logger().exception("work.failed", work=BIDI.decode())
    logging.getLogger("library").warning("about %s", ESCAPES.decode("latin-1"))
    assert canary not in out.getvalue()
    for line in out.getvalue().splitlines():
        if line.startswith("{"):
            assert all(is_plain(shown) for shown in json.loads(line)["exception"].split("\n"))
        else:
            assert is_plain(line), line
    assert "ValueError" in out.getvalue()
