"""Places in XML: ``a/b[name=value]/c@attribute``, read and written the same way.

A step may carry one ``[attribute=value]`` that chooses among elements of one name, and is set when one is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from nodeexec.libvirt.safe_xml import Element

_STEP = re.compile(r"([A-Za-z][\w.-]*)(?:\[([\w.-]+)=([^\]]*)\])?")


def find(root: Element, path: str) -> Element | None:
    """The first element at ``path`` (no ``@``), None when it is not there. An empty path is ``root``."""
    return next(find_all(root, path), None)


def find_all(root: Element, path: str) -> Iterator[Element]:
    """Every element at ``path``, in the order of the document."""
    if not path:
        yield root
        return
    first, _, rest = path.partition("/")
    tag, attribute, value = _parts(first)
    for child in root.iterchildren(tag):
        if attribute is None or child.get(attribute) == value:
            yield from find_all(child, rest)


def ensure(root: Element, path: str) -> Element:
    """The element at ``path``, made (with its parents) when it is not there."""
    element = root
    for step in filter(None, path.split("/")):
        found = find(element, step)
        element = found if found is not None else add(element, step)
    return element


def add(parent: Element, step: str, text: str | None = None, /, **attributes: str) -> Element:
    """A new last child; ``step`` is one step of a path. Underscores at the end of an attribute's name are dropped."""
    tag, attribute, value = _parts(step)
    child = etree.SubElement(parent, tag)
    if attribute is not None:
        child.set(attribute, value or "")
    for name, content in attributes.items():
        child.set(name.rstrip("_"), content)
    child.text = text
    return child


def read(root: Element, place: str) -> str | None:
    """The text at a place: of an attribute, or of an element (empty when it holds none); None when it is not there."""
    path, _, attribute = place.partition("@")
    element = find(root, path)
    if element is None:
        return None
    return element.get(attribute) if attribute else (element.text or "")


def write(root: Element, place: str, text: str) -> None:
    """Put a text at a place, making what is missing on the way."""
    path, _, attribute = place.partition("@")
    element = ensure(root, path)
    if attribute:
        element.set(attribute, text)
    else:
        element.text = text or None


def element_path(place: str) -> str:
    """The element of a place without choices: ``sysinfo/system/entry[name=uuid]`` → ``sysinfo/system/entry``."""
    return re.sub(r"\[[^\]]*\]", "", place.partition("@")[0])


def _parts(step: str) -> tuple[str, str | None, str | None]:
    match = _STEP.fullmatch(step)
    if match is None:
        raise ValueError(f"{step!r} is no step of a path")
    return match[1], match[2], match[3]
