"""The structure of a page or suite: tags and attribute names, without any text."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser's tokenizer would; `structure` is what foreign text must never change."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.structure: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.structure.append((tag + "/", tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.structure.append(("/" + tag, ()))
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_comment(self, data: str) -> None:
        self.structure.append(("!--", ()))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.text).append(data)

    def says(self, words: str) -> bool:
        """Whether a reader finds these words."""
        return " ".join(words.split()) in " ".join("".join(self.text).split())


def xml_structure(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Tags and attribute names of an XML document, in order."""
    return [(one.tag, tuple(one.attrib)) for one in ET.fromstring(text).iter()]
