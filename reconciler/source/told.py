"""What a person is told of a head that is not simply accepted: why, what stays enforced, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.model.follow import Follow, FollowKind
from reconciler.model.plain_text import one_line
from reconciler.model.revision import SourceEvent, SourceState, SourceStatus
from reconciler.source.heads import RemoteHead
from reconciler.source.rewrites import rewrite_id


def status_of(state: SourceState, head: str, message: str = "", event: SourceEvent | None = None) -> SourceStatus:
    """A status that is not dated yet."""
    return SourceStatus(state=state, checked_at=None, head=head, message=message, event=event)


def keeps(commit: str, unreadable: str) -> str:
    """What stays enforced. ``unreadable`` was accepted before, in a copy that is damaged."""
    if commit:
        return f"{commit[:12]} stays enforced."
    if unreadable:
        return f"{unreadable[:12]} was accepted before and cannot be read here, so nothing is enforced until it can be."
    return "Nothing has been accepted yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of one source: ``shown`` is its URL without secrets, ``path`` the directory of its manifests, ``identity`` what
    approvals are bound to. ``keeps`` in the methods is a sentence about what stays enforced.
    """

    shown: str
    path: str
    identity: str
    follow: Follow
    accepts_rewrites: bool

    def absent(self, found: RemoteHead, keeps: str) -> SourceStatus:
        """What is followed is not there."""
        name = one_line(self.follow.name)
        is_range = self.follow.kind is FollowKind.SEMVER
        what = f"version in the range {name!r}" if is_range else f"{self.follow.kind} {name!r}"
        if found.unborn:
            said = f"{self.shown} has no commit yet: push manifests to {what}. {keeps}"
            return status_of(SourceState.EMPTY, "", said)
        said = (
            f"{'No' if is_range else 'The'} {what} is {'' if is_range else 'not '}in {self.shown} ({found.fault}): "
            f"push it, or change what the settings follow. {keeps}"
        )
        return status_of(SourceState.REF_MISSING, "", said)

    def not_given(self, head: str, fault: str, keeps: str) -> SourceStatus:
        """A commit that the server does not give out is not there; a branch has moved on since it was looked at."""
        if self.follow.kind is FollowKind.COMMIT:
            return self.absent(RemoteHead(commit="", fault=fault), keeps)
        said = f"{fault}. It changed while it was fetched: the next look tries again. {keeps}"
        return status_of(SourceState.UNREACHABLE, head, said)

    def no_manifests(self, head: str, refused: int, keeps: str) -> SourceStatus:
        """A revision without a manifest file; ``refused`` entries were there and not read."""
        seen = f" ({refused} entries were refused)" if refused else ""
        said = (
            f"{head[:12]} has no manifest (*.yaml, *.yml, *.json) in {one_line(self.path or 'the repository')}{seen}. {keeps} "
            "To remove everything on purpose, leave one manifest file that holds only a comment."
        )
        return status_of(SourceState.EMPTY, head, said)

    def rewritten(self, head: str, accepted: str, lost: str) -> SourceStatus:
        """A head that does not descend from what is accepted, and waits for a person; ``lost`` says what it leaves out."""
        approval = rewrite_id(self.identity, accepted, head)
        reason = f"the history of {self.shown} was rewritten, from {accepted[:12]} to {head[:12]}. {lost}"
        said = (
            f"The history of {self.shown} was rewritten: {head[:12]} does not descend from {accepted[:12]}, which "
            f"stays accepted. Push a head that descends from it, or accept this one: `gitvirt approve {approval}`."
        )
        event = SourceEvent(what="rewrite", result="refused", head=head, message=reason)
        status = status_of(SourceState.REWRITTEN, head, said, event)
        return replace(status, approval=approval, approval_reason=reason)

    def rewrite_accepted(self, status: SourceStatus, accepted: str, lost: str) -> SourceStatus:
        """``status`` of a head that was accepted although it does not descend from what was."""
        by = "the settings" if self.accepts_rewrites else "a person"
        said = f"The history was rewritten: {status.head[:12]} does not descend from {accepted[:12]}. {lost}. Accepted by {by}."
        event = SourceEvent(what="rewrite", result="accepted", head=status.head, message=said)
        return replace(status, message=said, event=event)
