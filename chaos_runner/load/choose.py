"""Which member of a union a node is meant to be, told by its form and, for mappings, by its keys. No IO."""

from __future__ import annotations

from collections.abc import Container, Sequence

from chaos_runner import spelling
from chaos_runner.load import words
from chaos_runner.load.nodes import Node
from chaos_runner.load.shapes import Shape, fields

_TAKES = {
    "any": {"map", "list", "text", "int", "float", "bool", "null"},
    "null": {"null"},
    "bool": {"bool"},
    "int": {"int"},
    "float": {"int", "float"},
    "text": {"text"},
    "list": {"list"},
    "map": {"map"},
    "struct": {"map"},
}
_SCALARS = {"text", "int", "float", "bool"}


class Torn(ValueError):
    """A mapping that is none, or several, of the members; `node` is where to say so."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def fits(node: Node, shape: Shape, parsed: Container[type]) -> bool:
    """Whether this kind of node can become the shape at all."""
    if shape.form == "choice":
        return any(type(choice) is type(node.value) for choice in shape.choices) and node.kind not in {"map", "list"}
    if shape.rules.unit:
        return node.kind in {"text", "int", "float"}
    if shape.form == "struct" and shape.cls in parsed and (node.kind in _SCALARS or not words.strict(shape.cls)):
        return node.kind in _SCALARS
    return node.kind in _TAKES[shape.form]


def by_keys(node: Node, members: Sequence[Shape], *, guess: bool = True) -> Shape:
    """The Struct a mapping is meant to be, mistyped keys included if asked to guess. Raises Torn when no key tells."""
    tagged = _by_tag(node, members)
    if tagged is not None:
        return tagged
    telling = {key: member for member in members for key in _own_keys(member, members, required=True)}
    present = [pair.key for pair in node.pairs if pair.key.kind == "text"]
    named = [key for key in present if key.value in telling]
    if named:
        return _only(named, telling)
    weaker = {key: member for member in members for key in _own_keys(member, members, required=False)}
    for key in present:
        near = str(key.value) if key.value in weaker else guess and spelling.nearest(str(key.value), telling)
        if near:
            return (weaker | telling)[near]
    message = f"one of the keys {spelling.listed(telling)} is needed here"
    raise Torn(node, message)


def _by_tag(node: Node, members: Sequence[Shape]) -> Shape | None:
    for member in members:
        config = member.cls.__struct_config__
        tag = node.get(config.tag_field) if config.tag_field else None
        if tag is not None and tag.value == config.tag:
            return member
    return None


def _own_keys(member: Shape, members: Sequence[Shape], required: bool) -> list[str]:
    """The keys that only this member has."""
    others = {field.key for other in members if other is not member for field in fields(other.cls)}
    return [field.key for field in fields(member.cls) if field.required >= required and field.key not in others]


def _only(named: list[Node], telling: dict[str, Shape]) -> Shape:
    first, *others = named
    for other in others:
        if telling[str(other.value)] is not telling[str(first.value)]:
            raise Torn(other, f"'{other.value}' does not go with '{first.value}'; write two entries, or remove one")
    return telling[str(first.value)]
