"""Reads YAML as events and refuses what a file of ours never needs, before anything is composed. No IO.

The parser under PyYAML composes recursively: a small file of nested brackets kills the process. Here a flat loop
over events builds frozen nodes, and every dimension of the input has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from chaos_runner._imports import expressions_later
from chaos_runner.load import syntax
from chaos_runner.load.nodes import Kind, Node, Pair, Scalar, resolve
from chaos_runner.load.problems import Problem
from chaos_runner.spelling import cut

with expressions_later():
    import yaml

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 64
NODES_MAX = 50_000
SCALAR_MAX = 64 * 1024
_RANGES = (
    *((0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F)),  # controls
    *((0x2028, 0x2029), (0x202A, 0x202E), (0x2066, 0x2069)),  # line ends of Unicode, and what turns text around
    *((0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFFE, 0xFFFF)),  # no characters
)
_UNSEEN = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))


class Dialect(msgspec.Struct, frozen=True):
    """What a kind of file may do beyond ours: how plain scalars are read, and how many values aliases may stand for.

    With aliases come merge keys. Every limit of the guard counts what an alias stands for.
    """

    resolve: Callable[[str], tuple[Kind, Scalar]] = resolve
    aliased_max: int = 0


OURS = Dialect()
"""YAML 1.2, and nothing that is written in one place and counts in another."""


class Tree(msgspec.Struct, frozen=True):
    """A guarded document: its root, unless the file as a whole is unusable, and what the guard refused."""

    root: Node | None
    problems: tuple[Problem, ...] = ()


def guard(source: bytes | str, file: str, dialect: Dialect = OURS) -> Tree:
    """The document as nodes. Never raises on any input: whatever is wrong with it is a problem."""
    try:
        text = _text(source, file)
        return _Builder(file, dialect).build(_events(text, file))
    except _Unusable as unusable:
        return Tree(None, (unusable.problem,))


class _Unusable(Exception):
    def __init__(self, file: str, line: int, col: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(file, line, col, "", message)


def _text(source: bytes | str, file: str) -> str:
    """The source as text without a leading byte order mark; refuses what is too long, not UTF-8 or invisible."""
    size = len(source)
    if size > BYTES_MAX:
        raise _Unusable(file, 0, 0, f"{size} bytes are too many; at most {BYTES_MAX} (1 MiB) are read")
    try:
        text = source if isinstance(source, str) else source.decode()
    except UnicodeDecodeError as error:
        line, col = _place(source[: error.start].decode(), error.start)  # type: ignore[union-attr]
        raise _Unusable(file, line, col, f"byte 0x{error.object[error.start]:02x} is not UTF-8") from None
    text = text.removeprefix("\ufeff")
    if (unseen := _first_unseen(text)) is not None:
        line, col = _place(text, unseen)
        raise _Unusable(file, line, col, f"the invisible character U+{ord(text[unseen]):04X} is not allowed; remove it")
    return text


def _first_unseen(text: str) -> int | None:
    return min(map(text.index, _UNSEEN & set(text)), default=None)


def _place(text: str, index: int) -> tuple[int, int]:
    lines = re.split(r"\r\n|\r|\n", text[:index])
    return len(lines), len(lines[-1]) + 1


def _events(text: str, file: str) -> Iterator[Any]:
    """The parser's events; a syntax error ends them as the file's only problem."""
    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        line, col, sentence = syntax.explained(error, text)
        raise _Unusable(file, line, col, sentence) from None


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("bad", "event", "items", "key", "kind", "pairs", "seen")

    def __init__(self, kind: Kind, event: Any, bad: bool) -> None:
        self.kind, self.event, self.bad = kind, event, bad
        self.items: list[Node] = []
        self.pairs: list[Pair] = []
        self.key: Node | None = None
        self.seen: dict[Scalar, int] = {}


class _Builder:
    def __init__(self, file: str, dialect: Dialect) -> None:
        self.file = file
        self.dialect = dialect
        self.anchored: dict[str, Node] = {}
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.count = 0
        self.problems: list[Problem] = []

    def build(self, events: Iterator[Any]) -> Tree:
        for event in events:
            self._take(event)
        if self.root is None:
            raise _Unusable(self.file, 1, 1, "the file is empty")
        return Tree(self.root, tuple(self.problems))

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._aliased(event))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _aliased(self, event: Any) -> Node:
        name = str(event.anchor)
        if not self.dialect.aliased_max:
            self._report(event, f"the alias *{cut(name)} is not allowed; write the value itself")
            return self._node("bad", event)
        node = self.anchored.get(name)
        if node is None:
            self._report(event, f"the alias *{cut(name)} stands inside of what it names, or for nothing")
            return self._node("bad", event)
        size, height = _measured(node, self.dialect.aliased_max)
        self.count += size - 1
        if len(self.open) + height > DEPTH_MAX:
            self._refuse(event, f"with its aliases the file is nested deeper than {DEPTH_MAX} levels")
        if self.count > self.dialect.aliased_max:
            self._refuse(event, f"with its aliases the file has more than {self.dialect.aliased_max} values")
        return node

    def _document(self, event: Any) -> None:
        if self.root is not None:
            self._refuse(event, "a second document starts here; a file holds one")
        if event.version or event.tags:
            self._refuse(event, "directives (%YAML, %TAG) are not allowed; remove them")

    def _begin(self, event: Any) -> None:
        if len(self.open) >= DEPTH_MAX:
            self._refuse(event, f"nested deeper than {DEPTH_MAX} levels")
        kind: Kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        self.open.append(_Open(kind, event, self._decorated(event)))

    def _end(self, event: Any) -> None:
        done = self.open.pop()
        kind: Kind = "bad" if done.bad else done.kind
        pairs = self._merged(done.pairs) if self.dialect.aliased_max else tuple(done.pairs)
        node = self._node(kind, done.event, event, None, tuple(done.items), pairs)
        self._add(self._anchor(done.event, node))

    def _anchor(self, event: Any, node: Node) -> Node:
        if event.anchor is not None:
            self.anchored[event.anchor] = node
        return node

    def _merged(self, pairs: list[Pair]) -> tuple[Pair, ...]:
        """The pairs with those that `<<` brings in; what is written out wins, then the first that brings a key."""
        own = [pair for pair in pairs if not _merges(pair.key)]
        known = {pair.key.value for pair in own}
        for pair in pairs:
            brought = (pair.value.items or (pair.value,)) if _merges(pair.key) else ()
            for other in brought:
                own += [one for one in other.pairs if one.key.value not in known]
                known |= {one.key.value for one in other.pairs}
        return tuple(own)

    def _scalar(self, event: Any) -> Node:
        if len(event.value) > SCALAR_MAX:
            self._refuse(event, f"a text of {len(event.value)} characters is too long; at most {SCALAR_MAX} are read")
        if self._decorated(event):
            return self._node("bad", event)
        if not event.implicit[0]:
            return self._anchor(event, self._quoted(event))
        try:
            kind, value = self.dialect.resolve(event.value)
        except ValueError as wrong:
            self._report(event, str(wrong))
            return self._node("bad", event)
        return self._anchor(event, self._node(kind, event, None, value))

    def _quoted(self, event: Any) -> Node:
        if (unseen := _first_unseen(event.value)) is not None:
            code = ord(event.value[unseen])
            self._report(event, f"the invisible character U+{code:04X} is not allowed; remove its escape")
            return self._node("bad", event)
        return self._node("text", event, None, event.value, quoted=True)

    def _decorated(self, event: Any) -> bool:
        """Whether an explicit tag makes the node unusable; an anchor is only reported."""
        if event.anchor is not None and not self.dialect.aliased_max:
            self._report(event, f"the anchor &{cut(event.anchor)} is not allowed; remove it")
        if event.tag is None:
            return False
        name = event.tag.replace("tag:yaml.org,2002:", "!!")
        self._report(event, f"the tag {cut(name)} is not allowed; remove it")
        return True

    def _add(self, node: Node) -> None:
        self.count += 1
        if self.count > NODES_MAX:
            raise _Unusable(self.file, node.line, node.col, f"more than {NODES_MAX} values")
        inside = self.open[-1] if self.open else None
        if inside is None:
            self.root = node
        elif inside.kind == "list":
            inside.items.append(node)
        elif inside.key is None:
            inside.key = self._key(node)
        else:
            self._pair(inside, node)

    def _key(self, node: Node) -> Node:
        message = "" if self.dialect.aliased_max and _merges(node) else _key_problem(node)
        if not message:
            return node
        self.problems.append(Problem(self.file, node.line, node.col, "", message))
        return msgspec.structs.replace(node, kind="bad", value=None)

    def _pair(self, mapping: _Open, value: Node) -> None:
        key, mapping.key = mapping.key, None
        assert key is not None
        if key.kind == "text" and key.value in mapping.seen:
            first = mapping.seen[key.value]
            message = f"the key '{cut(str(key.value))}' is already on line {first}; keep one of them"
            self.problems.append(Problem(self.file, key.line, key.col, "", message))
            return
        mapping.seen[key.value] = key.line
        mapping.pairs.append(Pair(key, value))

    def _node(
        self,
        kind: Kind,
        start: Any,
        end: Any = None,
        value: Scalar = None,
        items: tuple[Node, ...] = (),
        pairs: tuple[Pair, ...] = (),
        *,
        quoted: bool = False,
    ) -> Node:
        first, last = start.start_mark, (end or start).end_mark
        place = (first.line + 1, first.column + 1, last.line + 1, last.column + 1)
        return Node(kind, self.file, *place, value, items, pairs, quoted)

    def _report(self, event: Any, message: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, "", message))

    def _refuse(self, event: Any, message: str) -> None:
        raise _Unusable(self.file, event.start_mark.line + 1, event.start_mark.column + 1, message)


def _merges(key: Node) -> bool:
    return key.kind == "text" and key.value == "<<" and not key.quoted


def _measured(node: Node, most: int) -> tuple[int, int]:
    """How many values it holds, itself included, and how many levels; counting ends above `most`."""
    count, height, left = 0, 0, [(node, 1)]
    while left and count <= most:
        one, level = left.pop()
        count, height = count + 1, max(height, level)
        left += [(child, level + 1) for child in (*one.items, *(pair.value for pair in one.pairs))]
    return count, height


def _key_problem(node: Node) -> str:
    if node.kind == "text":
        if _merges(node):
            return "the merge key << is not allowed; write the keys themselves"
        return ""
    if node.kind in {"map", "list"}:
        return "a key is text; put text that starts with { or [ in quotes"
    if node.kind == "bad":
        return ""
    return "a key is text; put this one in quotes"
