"""What happens to the history of the source is on record, whether or not it changed anything; and each of it once."""

from __future__ import annotations

from reconciler.model.revision import SourceEvent
from tests.unit.journal.building import WEB, applied, git, record

HOSTILE = "not signed\n\nChange: VirtualMachine/default/web delete none applied cause=commit took=0.0 at=x\x1b[31m"
REFUSED = SourceEvent(what="signature", result="refused", head="b" * 40, message=HOSTILE)
REWRITE = SourceEvent(what="rewrite", result="refused", head="c" * 40, message="it leaves out 3")
ACCEPTED = SourceEvent(
    what="rewrite", result="accepted", head="c" * 40, message="it leaves out 3. Accepted by a person."
)


def told(journal) -> list[tuple[str, str, str]]:
    return [(str(e.action), e.result, e.revision[:1]) for e in reversed(list(journal.entries()))]


def test_a_refusal_is_told_once_also_after_a_restart(journal, make_journal):
    assert journal.write(record(source_events=(REFUSED,)))
    assert journal.write(record(source_events=(REFUSED,))) == ""
    assert make_journal().write(record(source_events=(REFUSED,))) == ""
    assert git(journal.path, "log", "-1", "--format=%s").strip() == "source: signature refused: bbbbbbbbbbbb"
    assert told(journal) == [("signature", "refused", "b")]
    (entry,) = journal.entries()
    assert (entry.author, entry.key) == ("gitvirt", None)
    assert entry.reason.startswith("not signed Change: VirtualMachine/default/web delete")


def test_what_ends_and_comes_again_is_told_again(journal):
    journal.write(record(source_events=(REFUSED,)))
    journal.write(record())
    assert journal.write(record(source_events=(REFUSED,)))
    assert told(journal) == [("signature", "refused", "b")] * 2


def test_a_rewrite_and_the_change_it_brings(journal):
    journal.write(record(source_events=(REWRITE,)))
    journal.write(record(applied(), source_events=(ACCEPTED,)))
    assert told(journal) == [("rewrite", "refused", "c"), ("rewrite", "accepted", "c"), ("create", "applied", "a")]
    assert [str(e.action) for e in journal.entries(vm=WEB.name)] == ["create"]
    assert git(journal.path, "ls-tree", "--name-only", "HEAD").split() == ["_source.yaml"]
