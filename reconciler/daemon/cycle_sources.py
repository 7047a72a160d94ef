"""The sources of a cycle: looked at each by itself, and joined to what they declare together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from reconciler.daemon.cycle_declared import DeclaredCache
from reconciler.daemon.cycle_secrets import SecretFiles
from reconciler.daemon.loaded_files import FileLoader, KeptFiles, RevisionTooLargeError
from reconciler.daemon.used_approvals import Used, UsedApprovals
from reconciler.daemon.wake import Wake
from reconciler.manifests.limits import DEFAULT_REVISION_LIMITS, RevisionLimits
from reconciler.model.declared import Declared
from reconciler.model.errors import SourceError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import Observation
from reconciler.model.origin import Origin
from reconciler.model.policy import Policy
from reconciler.model.problem import Problem
from reconciler.model.revision import Revision, SourceEvent, SourceState, SourceStatus
from reconciler.planning.redact import source_of
from reconciler.ports import Engine, SecretStore, Source, Workers


class CycleSources:
    """Fetches and loads. A source that cannot be reached or read stays at its last accepted revision and holds up no
    other. ``declared`` is None until any has an accepted revision.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        engine: Engine,
        workers: Workers,
        policy: Policy,
        secrets: SecretStore,
        file_cache: KeptFiles | None = None,
        limits: RevisionLimits = DEFAULT_REVISION_LIMITS,
        used: UsedApprovals | None = None,
    ) -> None:
        """``sources`` are those of ``policy.sources``, by name."""
        self._sources = sources
        self._workers = workers
        self._policy = policy
        self._secrets = SecretFiles(secrets, policy.default_namespace)
        self._secrets_version = 0
        self._cache = DeclaredCache(
            engine, self._secrets, policy.sources, FileLoader(policy.default_namespace, file_cache, limits)
        )
        self._revisions: dict[str, Revision] = {}
        self._holders: dict[ObjectKey, str] = {}
        self._changed: frozenset[ObjectKey] = frozenset()
        self._let_go: set[Used] = set()
        self._used = used or UsedApprovals()
        self.declared: Declared | None = None

    @property
    def revisions(self) -> Mapping[str, Revision]:
        """The accepted revisions that were loaded, by the names of their sources."""
        return dict(self._revisions)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of the accepted revisions."""
        return self._cache.problems

    @property
    def approvals(self) -> frozenset[tuple[Origin, str]]:
        """Holds that commits release, each with the source that says so; each counts once."""
        return frozenset(
            (origin, hold_id)
            for origin in self._policy.sources
            if origin.name in self._revisions
            for hold_id in self._revisions[origin.name].approvals
            if (used := (self._commit(origin.name), hold_id)) not in self._let_go and not self._used.is_used(*used)
        )

    def use_approvals(self, hold_ids: Iterable[str]) -> None:
        """These holds were let go: what the accepted revisions say of them does not count again in this process."""
        commits = {revision.commit for revision in self._revisions.values()}
        self._let_go = {used for used in self._let_go if used[0] in commits}
        self._let_go |= {(commit, hold_id) for commit in commits for hold_id in hold_ids}

    def end_approvals(self, hold_ids: Collection[str]) -> None:
        """What these holds let go begins: what the accepted revisions say of them does not count again, ever."""
        revisions = self._revisions.values()
        self._used.note(
            [(one.commit, hold_id) for one in revisions for hold_id in one.approvals if hold_id in hold_ids]
        )

    @property
    def events(self) -> tuple[SourceEvent, ...]:
        """What the last looks at the remotes have to put on record; the journal tells each once."""
        return tuple(
            replace(event, message=f"{name}: {event.message}") if name else event
            for name, status in sorted(self.statuses().items())
            if (event := status.event) is not None
        )

    def statuses(self) -> dict[str, SourceStatus]:
        """How the last look at each remote went, by name."""
        return {name: source.status() for name, source in self._sources.items()}

    @property
    def up_to_date(self) -> bool:
        """Whether the last look at every remote went well."""
        return all(status.state is SourceState.READY for status in self.statuses().values())

    def fetch(self, wake: Wake) -> dict[str, SourceStatus]:
        """Look at the remotes that ``wake`` asks for, and at those that were never looked at; the statuses of all."""
        due = [source for name, source in self._sources.items() if _is_due(name, source.status(), wake)]
        self._workers.map(lambda source: source.fetch(wake.approvals), due)
        if due or wake.everything or self.declared is None:
            self.look_for_secrets()
        return self.statuses()

    def look_for_secrets(self) -> None:
        """See what the host keeps now."""
        self._secrets.look()

    def load(self, say: Callable[[str], None]) -> bool:
        """Make the accepted revisions, and what the host keeps, the declared state; whether any revision is another than
        before. What became different is ``changed`` until it is taken.
        """
        has_new = self._load_revisions(say)
        version = self._secrets.version
        if has_new or (self.declared is not None and version != self._secrets_version):
            self._secrets_version = version
            self._join()
        return has_new

    @property
    def changed(self) -> frozenset[ObjectKey]:
        """The objects that may be declared differently than when `take_changed` was last called."""
        return self._changed

    def take_changed(self) -> frozenset[ObjectKey]:
        """``changed``, as read."""
        taken, self._changed = self._changed, frozenset()
        return taken

    def _join(self) -> None:
        self._changed |= self._cache.joined(self._holders)
        self.declared = self._cache.declared

    def _load_revisions(self, say: Callable[[str], None]) -> bool:
        has_new = False
        for origin in self._policy.sources:
            has_new |= self._load_revision(origin, say)
        if has_new:
            self._cache.settle()
        return has_new

    def _load_revision(self, origin: Origin, say: Callable[[str], None]) -> bool:
        """Load the accepted revision of one source, if it is another than before. One that is over a limit as a whole goes
        back to the source, and the one confirmed before it counts.
        """
        source, about = self._sources[origin.name], f"{origin.name}: " if origin.name else ""
        snapshot = source.accepted()
        if snapshot is None or snapshot.revision.commit == self._commit(origin.name):
            return False
        commit = snapshot.revision.commit
        try:
            self._cache.load(origin, source, snapshot)
        except RevisionTooLargeError as error:
            say(f"{about}{commit[:12]} is not used: {error}")
            return source.refuse(commit, str(error)) and self._load_revision(origin, say)
        except SourceError as error:
            say(f"{about}{error}")
            return False
        self._revisions[origin.name] = snapshot.revision
        try:
            source.confirm(commit)
        except SourceError as error:
            say(f"{about}{error}")
        return True

    def settle(self, observation: Observation) -> None:
        """Give objects that several sources declare to the one that the live object came from."""
        if self.declared is None:
            return
        holders = {key: self._holder(key, observation) for key in self.declared.rivals}
        differs = holders != {key: self._holders.get(key, "") for key in self.declared.rivals}
        self._holders = holders
        if differs:
            self._join()

    def _commit(self, name: str) -> str:
        known = self._revisions.get(name)
        return known.commit if known else ""

    def _holder(self, key: ObjectKey, observation: Observation) -> str:
        live = observation.objects.get(key)
        is_owned = live is not None and live.marks is not None and live.marks.owner == self._policy.owner
        return source_of(live) if live is not None and is_owned else ""


def _is_due(name: str, known: SourceStatus, wake: Wake) -> bool:
    asked = wake.fetch or name in wake.sources or known.approval in wake.approvals
    return asked or known.state is SourceState.NEVER
