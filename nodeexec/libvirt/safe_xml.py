"""XML as libvirt writes it, parsed without entities, network or comments."""

from __future__ import annotations

from lxml import etree

Element = etree._Element


def parse_xml(text: str) -> Element:
    """The root element, without comments and processing instructions.

    Raises:
        ValueError: the text is not well-formed XML.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True, remove_blank_text=True
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as fault:
        raise ValueError(f"not well-formed XML: {fault.msg}") from fault


def to_text(element: Element) -> str:
    """Indented text that ends with a line break; equal trees give equal bytes."""
    etree.indent(element, space="  ")
    return str(etree.tostring(element, encoding="unicode")) + "\n"
