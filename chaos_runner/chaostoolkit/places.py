"""Walking a file's nodes and saying what is wrong where. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from chaos_runner import spelling
from chaos_runner.load import Node
from chaos_runner.load.nodes import Kind, Path

_WORDS: dict[Kind, str] = {
    "map": "a mapping",
    "list": "a list",
    "text": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class Found(msgspec.Struct, frozen=True):
    """Something to say of a place; `note` where the file can be used all the same."""

    node: Node
    path: Path
    message: str
    note: bool = False


class Place(msgspec.Struct, frozen=True):
    """A node with the path that leads to it."""

    node: Node
    path: Path

    def __truediv__(self, step: str | int) -> Place | None:
        """The place below, or None."""
        node = self.node.get(step)
        return Place(node, (*self.path, step)) if node is not None else None

    @property
    def text(self) -> str:
        """The text here; empty where there is none."""
        return str(self.node.value) if self.node.kind == "text" else ""

    def wrong(self, message: str) -> Found:
        """A problem here."""
        return Found(self.node, self.path, message)

    def noted(self, message: str) -> Found:
        """A remark here."""
        return Found(self.node, self.path, message, note=True)

    def items(self) -> Iterator[Place]:
        """The places of a list."""
        for n, item in enumerate(self.node.items):
            yield Place(item, (*self.path, n))

    def pairs(self) -> Iterator[tuple[str, Place]]:
        """The keys and places of a mapping."""
        for pair in self.node.pairs:
            yield str(pair.key.value), Place(pair.value, (*self.path, str(pair.key.value)))

    def is_a(self, *kinds: Kind) -> bool:
        """Whether the node is of one of the kinds; what was reported before passes for anything."""
        return self.node.kind in kinds or self.node.kind == "bad"


def expected(place: Place, *kinds: Kind) -> Iterator[Found]:
    """A problem where the node is of another kind."""
    if not place.is_a(*kinds):
        wanted = spelling.listed(dict.fromkeys(_WORDS[kind] for kind in kinds))
        yield place.wrong(f"expected {wanted}, found {_WORDS[place.node.kind]}")


def needed(place: Place, key: str, why: str = "") -> Iterator[Found]:
    """A problem where a key is missing, or what it holds is empty or no text."""
    below = place / key
    if below is None:
        yield place.wrong(f"missing key '{key}'{': ' + why if why else ''}")
    elif below.node.kind == "text" and not below.text.strip():
        yield below.wrong("empty text is not allowed")
    else:
        yield from expected(below, "text")


def strange(place: Place, known: Iterable[str], noun: str = "key") -> Iterator[Found]:
    """A remark for each key that means nothing."""
    names = list(known)
    for pair in place.node.pairs:
        key = str(pair.key.value)
        if pair.key.kind == "text" and key not in names:
            near = spelling.nearest(key, names)
            hint = f"; did you mean '{near}'?" if near else ""
            yield Found(
                pair.key, (*place.path, key), f"unknown {noun} '{spelling.cut(key)}' is ignored{hint}", note=True
            )
