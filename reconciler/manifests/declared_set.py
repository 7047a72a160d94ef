"""What all sources declare together, kept: joined documents, the DataVolumes of their templates, and what the engine
cannot honour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from reconciler.manifests.joined import Joined
from reconciler.manifests.load import LoadedFile
from reconciler.manifests.templates import template_documents, template_keys
from reconciler.model.declared import Declared, Readings
from reconciler.model.document import Document
from reconciler.model.keys import ObjectKey
from reconciler.model.multimap import MultiMap
from reconciler.model.persistent import PersistentMap, with_changes
from reconciler.model.problem import Problem, Severity
from reconciler.model.sync_wave import Wave

VM_KIND = "VirtualMachine"
Check = Callable[[Document], tuple[Problem, ...]]
NOBODY: Mapping[ObjectKey, str] = {}


class DeclaredSet:
    """Brought up to date file by file; ``documents``, ``invalid``, ``template_owners`` and ``waves`` are as `Declared` has them.

    An object with an error is invalid and counts as present; a file or document that cannot be identified makes the
    reading of its source incomplete, so that nothing of it is deleted because of it (law 2).
    """

    def __init__(self, check: Check, *, is_open: bool = False) -> None:
        """``check`` gives an engine's problems with a valid document; ``is_open`` as `Joined` has it."""
        self._check = check
        self._joined = Joined(is_open=is_open)
        self._templates: dict[ObjectKey, tuple[ObjectKey, ...]] = {}
        self._vms: MultiMap[ObjectKey, ObjectKey] = MultiMap()
        self._from_engine: dict[ObjectKey, tuple[Problem, ...]] = {}
        self.documents: PersistentMap[ObjectKey, Document] = PersistentMap()
        self.invalid: PersistentMap[ObjectKey, str] = PersistentMap()
        self.template_owners: PersistentMap[ObjectKey, ObjectKey] = PersistentMap()
        self.waves: PersistentMap[ObjectKey, Wave] = PersistentMap()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of the files and of what they declare."""
        return (*self._joined.problems, *(one for found in self._from_engine.values() for one in found))

    @property
    def rivals(self) -> Mapping[ObjectKey, tuple[str, ...]]:
        """Objects that several sources declare."""
        return self._joined.rivals

    def declared(self, readings: Readings) -> Declared:
        """What all files declare together now. A reading is complete at most as far as its files could be identified."""
        return Declared(
            readings={
                identity: replace(one, complete=one.complete and self._joined.is_whole(identity))
                for identity, one in readings.items()
            },
            documents=self.documents,
            invalid=self.invalid,
            contests=self._joined.contests,
            template_owners=self.template_owners,
            rivals=dict(self._joined.rivals),
            waves=self.waves,
        )

    def update(
        self,
        before: Iterable[LoadedFile],
        after: Iterable[LoadedFile],
        *,
        holders: Mapping[ObjectKey, str] = NOBODY,
        incomplete: bool = False,
    ) -> frozenset[ObjectKey]:
        """Replace files; see `Joined.update`. Returns the objects of which anything may be another than before."""
        judged = set(self._joined.update(before, after, holders=holders, incomplete=incomplete))
        for vm in [key for key in judged if key.kind == VM_KIND]:
            judged |= self._note_templates(vm)
        documents: dict[ObjectKey, Document | None] = {}
        invalid: dict[ObjectKey, str | None] = {}
        owners: dict[ObjectKey, ObjectKey | None] = {}
        waves: dict[ObjectKey, Wave | None] = {}
        for key in judged:
            owners[key], document = self._counting(key)
            found = self._ask_engine(key, document)
            errors = [one for one in (*self._joined.invalid.get(key, ()), *found) if one.severity is Severity.ERROR]
            invalid[key] = f"{errors[0].place}: {errors[0].message}" if errors else None
            documents[key] = document if not any(one.severity is Severity.ERROR for one in found) else None
            wave = self._joined.wave_of(owners[key] or key)
            waves[key] = wave if wave is not None and (wave.number or errors) else None
        self.documents = with_changes(self.documents, documents)
        self.invalid = with_changes(self.invalid, invalid)
        self.template_owners = with_changes(self.template_owners, owners)
        self.waves = with_changes(self.waves, waves)
        return frozenset(judged)

    def _note_templates(self, vm: ObjectKey) -> set[ObjectKey]:
        """Enter which DataVolumes a VM's templates make; those of before and of now."""
        document = self._joined.documents.get(vm)
        before, now = self._templates.pop(vm, ()), template_keys(document) if document is not None else ()
        self._vms.move(vm, before, now)
        if now:
            self._templates[vm] = now
        return {*before, *now}

    def _counting(self, key: ObjectKey) -> tuple[ObjectKey | None, Document | None]:
        """The document that counts, and the VM whose template it is."""
        document = self._joined.documents.get(key)
        if document is not None or key not in self._vms:
            return None, document
        owner = min(self._vms.of(key))
        made = template_documents(self._joined.documents[owner])
        return owner, next(one for one in made if one.key == key)

    def _ask_engine(self, key: ObjectKey, document: Document | None) -> tuple[Problem, ...]:
        found = self._check(document) if document is not None else ()
        if found:
            self._from_engine[key] = found
        else:
            self._from_engine.pop(key, None)
        return found
