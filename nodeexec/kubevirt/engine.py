"""`KubevirtEngine`: manifests made true on Kubernetes with KubeVirt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from nodeexec.kubevirt import adoption as taking_over
from nodeexec.kubevirt import trash
from nodeexec.kubevirt.access import Access
from nodeexec.kubevirt.adoption_objects import adopt_object, survey_object
from nodeexec.kubevirt.apply import UNREAD_RETRY_S, Applier
from nodeexec.kubevirt.caches import Caches
from nodeexec.kubevirt.client import ApiClient
from nodeexec.kubevirt.cluster_facts import rollout, server_version
from nodeexec.kubevirt.compare import Rules, compare
from nodeexec.kubevirt.configuration import connection_of
from nodeexec.kubevirt.deletions import Deletions
from nodeexec.kubevirt.discovery import Discovery
from nodeexec.kubevirt.errors import ApiError, UnreachableError
from nodeexec.kubevirt.events import Events
from nodeexec.kubevirt.health import Health
from nodeexec.kubevirt.kinds import KEPT, KINDS
from nodeexec.kubevirt.live_document import described, live_document
from nodeexec.kubevirt.marks import OWN, operator_facts
from nodeexec.kubevirt.observe import Observer
from nodeexec.kubevirt.outage import outdated
from nodeexec.kubevirt.own_maps import OwnMaps
from nodeexec.kubevirt.own_objects import deletions_name, own_namespace, register_names
from nodeexec.kubevirt.register import Register
from nodeexec.kubevirt.remembering import note_disks
from nodeexec.kubevirt.settings import KubevirtSettings
from nodeexec.kubevirt.steps import Steps, Tools
from nodeexec.this_boot import boot_id
from reconciler.model.adoption import Adoption, FoundObject, FoundVm, Takeover
from reconciler.model.document import Document
from reconciler.model.errors import EngineError
from reconciler.model.keys import TRASH_ITEM, ObjectKey
from reconciler.model.live import LiveObject, LiveVm, Observation, Outdated
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Change, Difference
from reconciler.model.policy import Policy
from reconciler.model.power import Override
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved
from reconciler.ports import Clock, Console

_RULES_LAST_S = 600.0


class KubevirtEngine:
    """One process's view of a cluster. Nothing is asked of it before the first `observe`."""

    name = "kubevirt"
    is_platform = True

    def __init__(
        self, settings: KubevirtSettings, policy: Policy, clock: Clock, *, may_write: Callable[[], bool] = lambda: True,
        this_boot: str = "",
    ) -> None:  # fmt: skip
        """``may_write`` is asked before each request that writes: an act of several requests can outlast a leadership. ``this_boot`` is
        what the clock's count belongs to, the kernel's own id when empty.
        """
        self._settings, self._policy, self._clock = settings, policy, clock
        connect = partial(connection_of, settings)
        self._client = ApiClient(connect, timeout_s=settings.request_timeout_s, may_write=may_write)
        self._caches = Caches(self._client, settings, policy.owner, clock)
        maps = OwnMaps(self._client, own_namespace(settings))
        deletions = Deletions(maps, clock, name=deletions_name(policy.owner), window_s=policy.blast_radius.window_s)
        register = Register(maps, clock, names=register_names(policy.owner), namespaces=settings.namespaces)
        self._observer = Observer(
            self._caches,
            owner=policy.owner,
            deletions=deletions,
            register=register,
            host=policy.host,
            clock=clock,
            boot_id=this_boot or boot_id(),
        )
        self._health = Health(self._caches, Events(self._client, clock), clock)
        self._discovery = Discovery(self._client, clock)
        self._tools = Tools(
            access=Access(self._client, self._caches),
            caches=self._caches,
            observer=self._observer,
            deletions=deletions,
            register=register,
            discovery=self._discovery,
            settings=settings,
            clock=clock,
            owner=policy.owner,
        )
        self._rules = Rules(correct_power=settings.correct_power)
        self._rules_at = 0.0
        self._applier = Applier(self._tools, self._rules_now)
        self._started = False
        self._lock = Lock()

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were made, by HTTP method."""
        return dict(self._client.requests)

    def check(self, document: Document) -> tuple[Problem, ...]:
        """What KubeVirt refuses, it says itself; see `ports.Engine`."""
        del document
        return ()

    def observe(self, keys: Collection[ObjectKey] | None) -> Observation:
        """Live objects from the caches; see `ports.Engine`.

        Raises:
            EngineError: no kind could be listed.
        """
        self._start()
        if keys is not None:
            self._watch_kinds_of(keys)
        else:
            self._ask_again()
        gaps = self._caches.gaps()
        if len(gaps) == len(self._caches.kinds):
            raise EngineError(f"the cluster cannot be read: {next(iter(gaps.values()))}.")
        unserved = {**self._caches.unserved(), **self._discovery.unserved()}
        return replace(self._health.judged(self._observer.observation(keys)), unserved=unserved)

    def _start(self) -> None:
        """Watch what is understood; the first call waits for the lists, and so does whoever comes meanwhile."""
        with self._lock:
            if self._started:
                return
            try:
                self._observer.version = server_version(self._client)
                self._rules = replace(self._rules, rollout=rollout(self._client))
                self._rules_at = self._clock.monotonic()
                kept = [kind for name in KEPT if (kind := self._discovery.served(name)) is not None]
            except (ApiError, UnreachableError) as error:
                raise EngineError(f"the cluster cannot be read: {error.outcome.reason}.") from error
            self._caches.start()
            # After a restart nothing of such a kind may be declared any more, and what is left of it has to go, or to be shown.
            for kind in (*(KINDS[name] for name in sorted(self._policy.prunable_kinds & set(KINDS))), *kept):
                self._caches.ensure(kind)
            self._caches.wait()
            self._started = True

    def _ask_again(self) -> None:
        """KubeVirt may be configured otherwise by now, or another version. What cannot be read stays as it was known."""
        if self._clock.monotonic() - self._rules_at < _RULES_LAST_S:
            return
        self._rules_at = self._clock.monotonic()
        with suppress(ApiError, UnreachableError):
            self._rules = replace(self._rules, rollout=rollout(self._client))

    def _watch_kinds_of(self, keys: Collection[ObjectKey]) -> None:
        """Other kinds are watched from the first time that an object of theirs is asked for."""
        watched = {kind.name for kind in self._caches.kinds}
        fresh = {key.kind: key for key in keys if key.kind not in watched}
        try:
            found = [kind for _, key in sorted(fresh.items()) if (kind := self._discovery.of(key)) is not None]
        except (ApiError, UnreachableError) as error:
            raise EngineError(f"the cluster cannot be asked for its kinds: {error.outcome.reason}.") from error
        for kind in found:
            self._caches.ensure(kind)
        if found:
            self._caches.wait()

    def outdated(self) -> Outdated | None:
        """Asks the API server, and lets broken watches catch up; see `ports.Engine`. Before the first look nothing is known that could be."""
        return outdated(self._client, self._caches, self._settings, self._clock) if self._started else None

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """Every difference, by what was last asked of the cluster and the time."""
        return compare(wanted, live, self._rules_now())

    def _rules_now(self) -> Rules:
        return replace(self._rules, now=self._clock.now())

    def apply(self, change: Change) -> Outcome:
        """Look again, then do it; see `ports.Engine`."""
        if change.key.kind == TRASH_ITEM:
            return self._answered(lambda: trash.expire(self._tools, change))
        return self._answered(lambda: self._applier.apply(change))

    def mark(
        self, key: ObjectKey, *, override: Override | None, suspended: str, suspended_until: datetime | None
    ) -> Outcome:
        """Write the operator's facts; see `ports.Engine`."""
        facts = operator_facts(override, suspended, suspended_until)
        return self._answered(
            lambda: self._annotate(key, {"annotations": facts}, "wrote the operator's facts", Steps())
        )

    def release(self, key: ObjectKey) -> Outcome:
        """Take the marks off; see `ports.Engine`."""
        return self._answered(lambda: self._release(key))

    def _release(self, key: ObjectKey) -> Outcome:
        """Claims that were adopted with a VM are let go with it."""
        steps, live, nothing = Steps(), self._observer.live(key), dict.fromkeys(sorted(OWN))
        outcome = self._annotate(key, {"labels": nothing, "annotations": nothing}, "took the marks off", steps)
        if isinstance(live, LiveVm) and not outcome.is_fault and outcome.result is not Result.REFUSED:
            taking_over.release_claims(self._tools, live, steps)
            outcome = steps.outcome()
        note_disks(
            self._tools
        )  # Of what was let go nobody asks again; where it cannot be written down now, the next cycle does it.
        return outcome

    def _annotate(self, key: ObjectKey, metadata: Mapping[str, Any], step: str, steps: Steps) -> Outcome:
        live = self._observer.live(key)
        kind = KINDS.get(key.kind) or self._discovery.known(key)
        if live is None or kind is None or live.marks is None or live.marks.owner != self._policy.owner:
            return steps.outcome(Result.REFUSED, f"{key} is not owned by {self._policy.owner}")
        self._tools.access.patch(kind, key, {"metadata": metadata})
        if self._observer.live(key) != live:
            steps.note(step)
        return steps.outcome()

    def survey(self, name: str) -> FoundVm | None:
        """A VirtualMachine as ``NAMESPACE/NAME``; see `ports.Engine`."""
        self._start()
        try:
            return taking_over.survey(self._tools, name)
        except (ApiError, UnreachableError) as error:
            raise EngineError(f"{name} cannot be read: {error.outcome.reason}.") from error

    def as_adopted(self, adoption: Adoption) -> LiveVm | None:
        """The VM with gitvirt's marks; see `ports.Engine`."""
        self._start()
        return taking_over.as_adopted(self._tools, adoption)

    def adopt(self, takeover: Takeover) -> Outcome:
        """Write marks on a VM and its claims; see `ports.Engine`."""
        return self._answered(lambda: taking_over.adopt(self._tools, takeover))

    def survey_object(self, key: ObjectKey) -> FoundObject | None:
        """What is there of that name; see `ports.Engine`."""
        self._start()
        try:
            return survey_object(self._tools, key)
        except (ApiError, UnreachableError) as error:
            raise EngineError(f"{key} cannot be read: {error.outcome.reason}.") from error

    def adopt_object(self, wanted: Resolved, revision: str, expected: str) -> Outcome:
        """Write marks on one object; see `ports.Engine`."""
        return self._answered(lambda: adopt_object(self._tools, wanted, revision, expected))

    def console(self, key: ObjectKey, *, take_over: bool) -> Console | None:
        """The way to a guest's console is KubeVirt's own; see `ports.Engine`."""
        del take_over
        raise EngineError(f"{key} is on a cluster: `virtctl console {key.name} -n {key.namespace}` opens its console.")

    def empty_trash(self, item: str) -> Outcome:
        """Delete one trash item; see `ports.Engine`."""
        return self._answered(lambda: trash.empty(self._tools, item))

    def note_trash_ages(self) -> Outcome:
        """Write on the oldest notes how long their volumes were seen; see `ports.Engine`."""
        return self._answered(lambda: trash.note_ages(self._tools))

    def note_disks(self) -> Outcome:
        """Write down which disks are there; see `ports.Engine`."""
        return self._answered(lambda: note_disks(self._tools))

    def restore_trash(self, item: str) -> Outcome:
        """Take a volume out of the trash; see `ports.Engine`."""
        return self._answered(lambda: trash.restore(self._tools, item))

    def describe(self, resolved: Resolved) -> str:
        """Pure: the manifest as it is to be."""
        return described(resolved)

    def document_of(self, live: LiveObject) -> Mapping[str, Any]:
        """Pure: the object as it is served, without secrets."""
        return live_document(live)

    def events(self) -> Iterator[ObjectKey]:
        """Keys of what changed; see `ports.Engine`."""
        return self._caches.changes()

    def close(self) -> None:
        """End watches and events."""
        self._caches.close()
        self._client.close()

    def _answered(self, act: Callable[[], Outcome]) -> Outcome:
        """What the server answered, as an outcome. Nothing is done to what was not read."""
        try:
            self._start()
            return act()
        except EngineError as error:
            return Outcome(result=Result.RETRY, reason=str(error), retry_after_s=UNREAD_RETRY_S)
        except (ApiError, UnreachableError) as error:
            return error.outcome
