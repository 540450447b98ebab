"""A YAML document as frozen nodes that know where they stand, and YAML 1.2 rules for plain scalars. No IO."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Kind = Literal["map", "list", "text", "int", "float", "bool", "null", "bad"]
Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]


class Node(msgspec.Struct, frozen=True):
    """One value and its place. Lines and columns count from 1; the end is just behind the last character.

    `bad` nodes were already reported by the guard: nothing more is said about them. `base` is set where a node of
    another file was put in: paths below it are told from there.
    """

    kind: Kind
    file: str
    line: int
    col: int
    end_line: int = 0
    end_col: int = 0
    value: Scalar = None
    items: tuple[Node, ...] = ()
    pairs: tuple[Pair, ...] = ()
    quoted: bool = False
    base: Path | None = None

    def get(self, step: str | int) -> Node | None:
        """The child under a key or an index."""
        if isinstance(step, int):
            return self.items[step] if 0 <= step < len(self.items) else None
        return next((pair.value for pair in self.pairs if pair.key.value == step and pair.key.kind == "text"), None)

    def children(self) -> dict[str, Node]:
        """The children under keys of text, all at once."""
        return {str(pair.key.value): pair.value for pair in self.pairs if pair.key.kind == "text"}

    def key(self, name: str) -> Node | None:
        """The node of the key itself."""
        return next((pair.key for pair in self.pairs if pair.key.value == name and pair.key.kind == "text"), None)


class Pair(msgspec.Struct, frozen=True):
    """One `key: value`."""

    key: Node
    value: Node


def plain(node: Node) -> object:
    """The node as ordinary dicts, lists and scalars."""
    if node.kind == "map":
        return {str(pair.key.value): plain(pair.value) for pair in node.pairs}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    return node.value


def locate(node: Node, below: Path, path: Path = ()) -> tuple[Node, Path]:
    """The node at a path, or the deepest one above it that exists, and the path as its file would say it."""
    place: Node | None = node
    for step in below:
        place = place.get(step) if place is not None else None
        node = place or node
        path = place.base if place is not None and place.base is not None else (*path, step)
    return node, path


_WORDS: dict[str, tuple[Kind, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys(("true", "True", "TRUE"), ("bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("bool", False)),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DIGITS_MAX = 40


def resolve(text: str) -> tuple[Kind, Scalar]:
    """What a plain scalar means under the core rules of YAML 1.2. Raises ValueError for a number nobody can mean."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return "text", text
    if _INT.fullmatch(text):
        return "int", _int(text)
    if _FLOAT.fullmatch(text):
        return "float", float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return "text", text


def _int(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        msg = f"a number of {len(text)} digits is too large"
        raise ValueError(msg)
    # Base 0 reads 0x1F and 0o17, and refuses 010, which is ten here.
    value = int(text, 0 if text[1:2] in {"x", "o"} else 10)
    if abs(value) >= 2**63:
        msg = f"the number {text} is too large"
        raise ValueError(msg)
    return value
