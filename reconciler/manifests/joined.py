"""Documents of all sources joined and checked against each other, brought up to date file by file.

Everything between documents is decided a resource at a time: a claim name that a document makes a volume of, an object it
needs, a thing of which there is one. Who named a resource is kept; what a document says of it is asked of the document
again (`facts_of`) when somebody who shares the resource changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from reconciler.manifests import cross_check, same_object, sync_waves
from reconciler.manifests.cross_check import CONTENTION_CODES
from reconciler.manifests.load import InvalidDocument, LoadedFile
from reconciler.manifests.object_facts import CLAIM, CLAIM_MAKERS, Facts, facts_of
from reconciler.manifests.same_object import Entry
from reconciler.model.declared import Contest
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.multimap import MultiMap
from reconciler.model.persistent import PersistentMap, with_changes
from reconciler.model.problem import Problem, Severity, in_order
from reconciler.model.sync_wave import Wave

_NO_FACTS = Facts()
_SUGGESTED_FROM = 500
_SUGGESTIONS = 50
_Thing = tuple[str, str]
"""(problem code, resource): something of which there is one."""


class Joined:
    """The manifests of all sources. ``documents`` may be applied, except that of the claimants of each of `contests` only
    the live holder may. ``invalid`` are present and held at what was last applied. ``rivals`` maps an object that several
    sources declare to their identities.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        """``is_open``: what is needed may be there without being declared, on a platform that others use too."""
        self._is_open = is_open
        self.documents: PersistentMap[ObjectKey, Document] = PersistentMap()
        self.invalid: PersistentMap[ObjectKey, tuple[Problem, ...]] = PersistentMap()
        self.rivals: dict[ObjectKey, tuple[str, ...]] = {}
        self._entries: dict[ObjectKey, tuple[Entry, ...]] = {}
        self._keepers: dict[ObjectKey, str] = {}
        self._alone: dict[ObjectKey, Document] = {}
        self._makers: MultiMap[ObjectKey, ObjectKey] = MultiMap()
        self._needers: MultiMap[ObjectKey, ObjectKey] = MultiMap()
        self._holders: MultiMap[_Thing, ObjectKey] = MultiMap()
        self._contests: dict[_Thing, Contest] = {}
        self._faults: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._loose: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._lacking: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._waves: dict[ObjectKey, Wave] = {}
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._of_files: dict[tuple[str, str], tuple[Problem, ...]] = {}
        self._unidentified: dict[tuple[str, str], tuple[Problem, ...]] = {}

    @property
    def contests(self) -> tuple[Contest, ...]:
        """Things of which there is one and that several objects claim, in order."""
        return tuple(self._contests[thing] for thing in sorted(self._contests) if thing[0] in CONTENTION_CODES)

    @property
    def unidentified(self) -> tuple[Problem, ...]:
        """Faults of parts of which nobody knows which object they are."""
        return tuple(one for problems in self._unidentified.values() for one in problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All there are, in the order of files and lines."""
        kept = (self._of_files, self._unidentified, self._faults, self._loose, self._lacking)
        return in_order(one for by_place in kept for problems in by_place.values() for one in problems)

    def is_whole(self, origin: str) -> bool:
        """Whether every part of a source's files could be identified."""
        return not any(source == origin for source, _ in self._unidentified)

    def update(
        self,
        before: Iterable[LoadedFile],
        after: Iterable[LoadedFile],
        *,
        holders: Mapping[ObjectKey, str],
        incomplete: bool,
    ) -> frozenset[ObjectKey]:
        """Replace files. ``holders`` says which source the live object came from, for objects that several sources declare;
        ``incomplete`` that a whole source is missing. Returns the objects of which anything may be another than before.
        """
        touched, came_or_went = self._replace_files(before, after)
        touched |= {key for key in self.rivals if self._keepers.get(key, "") != holders.get(key, "")}
        judged, asked = set(touched), set(came_or_went)
        asked |= {_claim(key) for key in came_or_went if key.kind in CLAIM_MAKERS}
        for key in touched:
            around, claims = self._replace_facts(key, holders.get(key, ""))
            if self._note_wave(key):
                asked |= {key, *((_claim(key),) if key.kind in CLAIM_MAKERS else ())}
            judged |= around
            asked |= claims
        judged |= {key for wanted in asked for key in self._needers.of(wanted)}
        if asked:
            self._names.clear()
        for key in judged:
            self._judge(key)
        judged |= self._say_what_is_missing(judged, incomplete or bool(self._unidentified))
        self._enter(judged)
        return frozenset(judged)

    def _replace_files(
        self, before: Iterable[LoadedFile], after: Iterable[LoadedFile]
    ) -> tuple[set[ObjectKey], set[ObjectKey]]:
        """Enter what files hold: the objects they declared or declare, and those of them that came or went."""
        gone: set[int] = set()
        touched: set[ObjectKey] = set()
        added: dict[ObjectKey, list[Entry]] = defaultdict(list)
        for file in before:
            for entry in file.entries:
                gone.add(id(entry))
                touched.add(entry.key)
            self._of_files.pop((file.origin, file.file), None)
            self._unidentified.pop((file.origin, file.file), None)
        for file in after:
            for entry in file.entries:
                added[entry.key].append((file.origin, entry))
            if file.warnings or file.outside:
                self._of_files[file.origin, file.file] = (*file.warnings, *file.outside)
            if file.unidentified:
                self._unidentified[file.origin, file.file] = file.unidentified
        touched |= added.keys()
        came_or_went = set()
        for key in touched:
            known = self._entries.pop(key, ())
            entries = [*(entry for entry in known if id(entry[1]) not in gone), *added.get(key, ())]
            if len(entries) > 1:
                entries.sort(key=lambda entry: same_object.place_of(entry[1]))
            if entries:
                self._entries[key] = tuple(entries)
            if bool(known) != bool(entries):
                came_or_went.add(key)
        return touched, came_or_went

    def _replace_facts(self, key: ObjectKey, keeper: str) -> tuple[set[ObjectKey], set[ObjectKey]]:
        """Enter what the document that counts for an object offers, needs and holds: who shares any of it, and the claims
        that it offers or offered and did not or does not.
        """
        self._note_rivals(key, keeper)
        counting = same_object.counting(self._entries.get(key, ()), keeper)
        entry = counting[0][1] if len(counting) == 1 else None
        old = self._alone.pop(key, None)
        before = facts_of(old) if old is not None else _NO_FACTS
        after = _NO_FACTS
        if isinstance(entry, Document):
            self._alone[key] = entry
            after = facts_of(entry)
        claims, claimed = after.claims, before.claims
        self._makers.move(key, claimed, claims)
        self._holders.move(key, before.things, after.things)
        self._needers.move(key, before.wanted, after.wanted)
        around = {other for claim in claimed | claims for other in self._makers.of(claim)}
        for thing in before.things | after.things:
            sharers = self._holders.of(thing)
            if len(sharers) > 1 or thing in self._contests:
                around.update(sharers)
                self._contest(thing, sorted(sharers))
        return around, set(claimed ^ claims)

    def wave_of(self, key: ObjectKey) -> Wave | None:
        """The sync wave of an object, valid or not; None for what no file holds."""
        entries = self._entries.get(key, ())
        if not entries:
            return None
        counting = same_object.counting(entries, self._keepers.get(key, "")) or entries
        return min(Wave(origin, _wave_number(entry)) for origin, entry in counting)

    def _note_wave(self, key: ObjectKey) -> bool:
        """Enter the wave of an object; whether it is another than before."""
        before, wave = self._waves.pop(key, None), self.wave_of(key)
        if wave is not None and wave.number:
            self._waves[key] = wave
        return self._waves.get(key) != before

    def _note_rivals(self, key: ObjectKey, keeper: str) -> None:
        origins = same_object.origins_of(self._entries.get(key, ()))
        if len(origins) > 1:
            self.rivals[key], self._keepers[key] = origins, keeper
        else:
            self.rivals.pop(key, None)
            self._keepers.pop(key, None)

    def _contest(self, thing: _Thing, claimants: list[ObjectKey]) -> None:
        """Enter who claims a thing; a disk may be shared by those who all say so."""
        code, resource = thing
        holds = (hold for key in claimants for hold in facts_of(self._alone[key]).holds)
        if len(claimants) > 1 and not all(hold.shared for hold in holds if (hold.code, hold.resource) == thing):
            self._contests[thing] = Contest(code=code, resource=resource, claimants=tuple(claimants))
        else:
            self._contests.pop(thing, None)

    def _judge(self, key: ObjectKey) -> None:
        """What is wrong with an object but for what it lacks: faults make it invalid, loose problems are only told."""
        entries = self._entries.get(key, ())
        keeper = self._keepers.get(key, "")
        counting = same_object.counting(entries, keeper)
        faults: list[Problem] = []
        loose: list[Problem] = []
        if key in self.rivals:
            (loose if counting else faults).extend(same_object.rivalry(key, entries, keeper))
        if len(counting) > 1:
            faults += same_object.duplicates(key, counting)
        for _, entry in counting:
            if isinstance(entry, InvalidDocument):
                faults += entry.problems
        document = self._alone.get(key)
        if document is not None:
            self._judge_shared(document, faults, loose)
        _set(self._faults, key, tuple(faults))
        _set(self._loose, key, tuple(loose))

    def _judge_shared(self, document: Document, faults: list[Problem], loose: list[Problem]) -> None:
        key, facts = document.key, facts_of(document)
        for offer in facts.offers:
            makers = self._makers.of(offer.claim)
            if len(makers) > 1:
                faults.append(cross_check.collision(document, offer, self._alone, sorted(makers)))
        for hold in facts.holds:
            contest = self._contests.get((hold.code, hold.resource))
            if contest is not None:
                loose.append(cross_check.contention(document, hold, self._alone, contest.claimants))
        loose += cross_check.late_needs(document, facts, self._waves.get(key), self._wave_needed)
        lacks = any(not self._is_known(need.wanted) for need in facts.needs)
        if lacks:
            self._lacking.setdefault(key, ())
        else:
            self._lacking.pop(key, None)

    def _wave_needed(self, wanted: ObjectKey) -> tuple[ObjectKey, Wave] | None:
        """What makes something that is needed, and its wave, where that says one."""
        if not self._waves:
            return None
        makers = self._makers.of(wanted) if wanted.kind == CLAIM else (wanted,)
        return next(((maker, wave) for maker in sorted(makers) if (wave := self._waves.get(maker))), None)

    def _is_known(self, wanted: ObjectKey) -> bool:
        if self._is_open:
            return True
        if wanted.kind != CLAIM:
            return wanted in self._entries
        makers = (ObjectKey(kind, wanted.namespace, wanted.name) for kind in CLAIM_MAKERS)
        return wanted in self._makers or any(maker in self._entries for maker in makers)

    def _say_what_is_missing(self, judged: Collection[ObjectKey], incomplete: bool) -> set[ObjectKey]:
        """Problems of what is needed and not there: all anew, because names that may have been meant come and go. Returns
        the objects that are told something else than before.
        """
        for key in judged:
            if key not in self._alone:
                self._lacking.pop(key, None)
        told: set[ObjectKey] = set()
        number = 0
        for key in sorted(self._lacking):
            document = self._alone[key]
            found: list[Problem] = []
            for need in facts_of(document).needs:
                if self._is_known(need.wanted):
                    continue
                number += 1
                candidates = self._candidates(need.wanted) if number <= _SUGGESTIONS else ()
                found.append(cross_check.missing(document, need, candidates, incomplete))
            if tuple(found) != self._lacking[key]:
                self._lacking[key] = tuple(found)
                told.add(key)
        return told

    def _candidates(self, wanted: ObjectKey) -> tuple[str, ...]:
        place = (wanted.kind, wanted.namespace)
        if place not in self._names:
            kinds = CLAIM_MAKERS if wanted.kind == CLAIM else (wanted.kind,)
            names = {key.name for key in self._entries if key.namespace == wanted.namespace and key.kind in kinds}
            names |= {claim.name for claim in self._makers if (claim.kind, claim.namespace) == place}
            self._names[place] = tuple(sorted(names)[:_SUGGESTED_FROM])
        return self._names[place]

    def _enter(self, judged: Iterable[ObjectKey]) -> None:
        """Bring ``documents`` and ``invalid`` up to date."""
        documents: dict[ObjectKey, Document | None] = {}
        invalid: dict[ObjectKey, tuple[Problem, ...] | None] = {}
        for key in judged:
            lacking = (one for one in self._lacking.get(key, ()) if one.severity is Severity.ERROR)
            faults = (*self._faults.get(key, ()), *lacking)
            invalid[key] = faults or None
            documents[key] = None if faults else self._alone.get(key)
        self.documents = with_changes(self.documents, documents)
        self.invalid = with_changes(self.invalid, invalid)


def _wave_number(entry: Document | InvalidDocument) -> int:
    return sync_waves.number_of(entry) if isinstance(entry, Document) else entry.wave


def _claim(key: ObjectKey) -> ObjectKey:
    return ObjectKey(CLAIM, key.namespace, key.name)


def _set(faults: dict[ObjectKey, tuple[Problem, ...]], key: ObjectKey, found: tuple[Problem, ...]) -> None:
    if found:
        faults[key] = found
    else:
        faults.pop(key, None)
