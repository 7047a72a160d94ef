"""Secrets that stand in a repository for everybody to read."""

from __future__ import annotations

import base64
import binascii
import re

from reconciler.model.document import Document
from reconciler.model.problem import Problem
from reconciler.model.problem_codes import problem

PLAIN_TEXT = "secret-in-plain-text"
_PUBLIC_KEY = re.compile(r"\s*(#.*|(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+.*)?\s*", re.ASCII)


def plain_text_warnings(document: Document) -> tuple[Problem, ...]:
    """A word about a Secret in plain text, unless all it holds are SSH public keys, which are nobody's secret."""
    if document.key.kind != "Secret":
        return ()
    texts = [*(document.body.get("stringData") or {}).values()]
    texts += [_decoded(value) for value in (document.body.get("data") or {}).values()]
    if all(_is_public(text) for text in texts):
        return ()
    text = "the Secret is not encrypted: everybody who can read the repository, now or later, can read it"
    hint = (
        "encrypt it with sops, or put it into secrets.directory on the host (docs/secrets.md), and change what leaked"
    )
    return (problem(PLAIN_TEXT, document.place(), text, object=document.key, hint=hint),)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "(not text)"


def _is_public(text: str) -> bool:
    return all(_PUBLIC_KEY.fullmatch(line) for line in text.splitlines())
