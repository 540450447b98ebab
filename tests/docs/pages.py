"""The documentation as data: its pages, their fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_YAML = re.compile(r"^\s*(?:- run:|run:|-)\s+(chaos-runner .*)$")
_REDIRECTED = re.compile(r"\s+>\s*\S+$")


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Command(NamedTuple):
    """One line that a reader would type."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: {shlex.join(self.words)}"


def pages() -> tuple[Path, ...]:
    """Every page that people read."""
    return tuple(sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md"))))


def blocks(*languages: str) -> Iterator[Block]:
    """The fenced blocks of all pages in these languages."""
    for page in pages():
        text = page.read_text("utf-8")
        for found in _FENCE.finditer(text):
            if found[1] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield Block(str(page.relative_to(ROOT)), line, found[1], found[2])


def commands(page: str = "") -> Iterator[Command]:
    """What is typed in console and sh blocks, and by pipelines in yaml blocks, in the order of the pages."""
    for block in blocks("console", "sh", "yaml"):
        if block.page.endswith(page):
            yield from _typed(block)


def _typed(block: Block) -> Iterator[Command]:
    for n, line in enumerate(block.text.splitlines(), block.line + 1):
        text = _line(block.language, line)
        words = shlex.split(_REDIRECTED.sub("", text.removesuffix("&").rstrip()), comments=True)
        if words:
            yield Command(f"{block.page}:{n}", tuple(words))


def _line(language: str, line: str) -> str:
    if language == "console":
        return line.removeprefix("$ ") if line.startswith("$ ") else ""
    if language == "sh":
        return line
    found = _IN_YAML.match(line)
    return found[1] if found else ""
