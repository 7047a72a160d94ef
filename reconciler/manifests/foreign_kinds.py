"""Kinds that gitvirt does not read itself: their documents are taken as they are, and the engine decides what they are worth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from reconciler.manifests.known_kinds import KNOWN_KINDS, kind_meant
from reconciler.model.document import Document
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

Check = Callable[[Document], tuple[Problem, ...]]

_ACTS = {
    "VirtualMachineInstanceMigration.kubevirt.io": "`virtctl migrate VM` moves a guest; take the manifest out",
    "VirtualMachineRestore.snapshot.kubevirt.io": "`kubectl create -f` it once by hand, while the VM is off; take the manifest out",
}
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
_API_VERSION = re.compile(r"([a-z0-9.-]{1,253}/)?v[a-z0-9]{1,62}")


def kind_problem(document: Document) -> Problem | None:
    """What is wrong with a document's kind or apiVersion; None for kinds that are read, and for others that are no misspellings of them."""
    kind = str(document.body["kind"])
    wanted = KNOWN_KINDS.get(kind)
    if wanted == document.api_version or is_foreign(document):
        return None
    if wanted is None:
        return unknown_kind(document)
    text = f"{kind} is not read in apiVersion {document.api_version[:80]}"
    place = document.place(("apiVersion",))
    hint = f"write apiVersion: {wanted}"
    return problem("kind-unknown", place, text, object=document.key, path="apiVersion", hint=hint)


def is_foreign(document: Document) -> bool:
    """Whether a document is of another kind altogether, as far as its words can tell."""
    kind = str(document.body["kind"])
    is_plausible = _KIND.fullmatch(kind) and _API_VERSION.fullmatch(document.api_version)
    return bool(is_plausible) and kind not in KNOWN_KINDS and not kind_meant(kind)


def unknown_kind(document: Document) -> Problem:
    """The problem of a kind that is not read."""
    kind = str(document.body["kind"])
    meant = kind_meant(kind)
    text = f"the kind {kind[:80]} of {document.api_version[:80]} is not known"
    hint = f"did you mean {meant}?" if meant else f"known kinds: {', '.join(sorted(KNOWN_KINDS))}"
    return problem("kind-unknown", document.place(("kind",)), text, object=document.key, path="kind", hint=hint)


def _acts(document: Document) -> Iterator[Problem]:
    """Kinds that do something once: kept in Git they would do it again whenever they are gone."""
    hint = _ACTS.get(document.key.kind)
    if hint is not None:
        text = f"{document.body['kind']} is an act, not a state: applied from Git it would be done again whenever somebody removes it"
        yield problem("kind-is-an-act", document.place(("kind",)), text, object=document.key, path="kind", hint=hint)


def served(check: Check, serves_any_kind: bool) -> Check:
    """An engine's check; where it serves the known kinds alone, all others are a problem."""

    def judged(document: Document) -> tuple[Problem, ...]:
        if is_foreign(document):
            return tuple(_acts(document)) if serves_any_kind else (unknown_kind(document),)
        return check(document)

    return judged
