"""``journal``: where a copy of the journal is kept beside the one of the state directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.model.durations import format_duration
from reconciler.model.errors import SettingsError
from reconciler.model.follow import FollowKind
from reconciler.model.policy import Policy
from reconciler.model.source_spec import SourceSpec
from reconciler.settings.file import RawSettings
from reconciler.settings.source import SourceSettings, redacted_url
from reconciler.settings.source_reach import auth_as_file, read_auth, refuse_credentials
from reconciler.settings.values import place_at, read_interval_s, value_at

_AT = "journal.push"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """A branch of a repository elsewhere that follows the journal; how it is reached is said as for a source."""

    spec: SourceSpec
    branch: str

    @property
    def ref(self) -> str:
        """The branch's whole name."""
        return f"refs/heads/{self.branch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """``push`` None keeps the journal here alone."""

    push: PushSettings | None = None


def read_journal(raw: RawSettings, policy: Policy, sources: Sequence[SourceSettings]) -> JournalSettings:
    """The section.

    Raises:
        SettingsError: values that contradict each other, or a branch that manifests are read from.
    """
    body = value_at(raw, _AT)
    if not body:
        return JournalSettings()
    refuse_credentials(raw, _AT, body)
    branch = body.get("branch") or _usual_branch(policy)
    for source in sources:
        follows = source.follow.kind is FollowKind.BRANCH and source.follow.name == branch
        if source.url == body["url"] and follows:
            raise SettingsError(
                f"{place_at(raw, _AT, 'branch')}: journal.push.branch {branch} is the branch that manifests are read from; name "
                "another one."
            )
    spec = SourceSpec(
        url=body["url"],
        auth=read_auth(raw, _AT, body),
        ca_file=Path(body["caFile"]) if "caFile" in body else None,
        proxy=body.get("proxy", ""),
        timeout_s=read_interval_s(raw, f"{_AT}.timeout", default=SourceSpec().timeout_s),
        allow_plain_http=body.get("allowPlainHttp", False),
    )
    return JournalSettings(push=PushSettings(spec=spec, branch=branch))


def _usual_branch(policy: Policy) -> str:
    """Of an owner's own; on hosts, several of which may have that owner, of the host's as well."""
    return f"journal/{policy.owner}" if policy.on_cluster else f"journal/{policy.owner}-{policy.host}"


def journal_as_file(journal: JournalSettings) -> dict[str, Any]:
    """The section as the file would say it; empty where nothing is set."""
    push = journal.push
    if push is None:
        return {}
    said = {
        "url": redacted_url(push.spec.url),
        "branch": push.branch,
        "timeout": format_duration(push.spec.timeout_s),
        **auth_as_file(push.spec),
    }
    return {"journal": {"push": said}}
