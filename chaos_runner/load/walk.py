"""Guarded nodes into frozen Structs, with every problem of the document at once. No IO.

One mistake is one problem: what hangs on a value that was already reported is not reported again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chaos_runner import spelling
from chaos_runner.load import choose, keyed, scalars, words
from chaos_runner.load.nodes import Node, Path, locate, plain
from chaos_runner.load.problems import Problem, at
from chaos_runner.load.shapes import Field, Shape, fields, shape

Parsers = Mapping[type, Callable[[Any], object]]
Kinds = Mapping[str, Mapping[str, type[msgspec.Struct]]]
Shared = Callable[[Node, tuple[str, ...], Path], Node | list[Problem]]

BAD: Any = msgspec.UNSET
_HINTS_MAX = 200
# The keys whose mapping depends on the kind named beside them: the kind's own fields, or its Struct for targets.
OPEN = {"with": "", "target": "selector"}


def walk(
    node: Node,
    type_: Any,
    *,
    parsers: Parsers | None = None,
    kinds: Kinds | None = None,
    shared: Shared | None = None,
    path: Path = (),
) -> tuple[Any, list[Problem]]:
    """The value and no problems, or None and every problem.

    `parsers` read a scalar into a Struct. `kinds` gives for `fault` and `probe` the Structs by name; it is asked
    only for the names a file uses. `shared` turns a mapping with `use:` into the mapping it stands for.
    """
    walker = _Walk(parsers or {}, kinds or {}, shared)
    value = walker.value(node, shape(type_), path)
    return (None if walker.problems or value is BAD else value), walker.problems


class _Walk:
    def __init__(self, parsers: Parsers, kinds: Kinds, shared: Shared | None) -> None:
        self.parsers, self.kinds, self.shared = parsers, kinds, shared
        self.problems: list[Problem] = []

    def value(self, node: Node, shape: Shape, path: Path) -> Any:
        if node.base is not None:
            path = node.base
        if node.kind == "bad":
            return BAD
        return _READERS[shape.form](self, node, shape, path)

    def _wrong(self, node: Node, path: Path, message: str) -> Any:
        self.problems.append(at(node, path, message))
        return BAD

    def _misfit(self, node: Node, shape: Shape, path: Path) -> Any:
        return self._wrong(node, path, f"expected {words.expected(shape, self.parsers)}, found {words.found(node)}")

    def _scalar(self, node: Node, shape: Shape, path: Path) -> Any:
        try:
            return scalars.read(node, shape)
        except ValueError as wrong:
            return self._wrong(node, path, str(wrong))

    def _any(self, node: Node, shape: Shape, path: Path) -> Any:
        if node.kind == "list":
            return self._list(node, Shape("list", (shape,), list), path)
        if node.kind == "map":
            return self._map(node, Shape("map", (Shape("text"), shape)), path)
        return self._scalar(node, shape, path)

    def _list(self, node: Node, shape: Shape, path: Path) -> Any:
        if node.kind != "list":
            hint = "; put it in [ ]" if node.kind in {"text", "int", "float"} else ""
            return self._wrong(node, path, f"expected a list, found {words.found(node)}{hint}")
        items = [self.value(item, shape.of[0], (*path, n)) for n, item in enumerate(node.items)]
        if self._miscounted(node, len(items), shape, path) or any(item is BAD for item in items):
            return BAD
        return shape.cls(items)

    def _map(self, node: Node, shape: Shape, path: Path) -> Any:
        if node.kind != "map":
            return self._misfit(node, shape, path)
        keys, values = shape.of
        read = {}
        for pair in node.pairs:
            below = (*path, str(pair.key.value))
            key = self.value(pair.key, keys, below)
            read[key] = BAD if key is BAD else self.value(pair.value, values, below)
        if self._miscounted(node, len(node.pairs), shape, path) or BAD in read or any(v is BAD for v in read.values()):
            return BAD
        return read

    def _miscounted(self, node: Node, count: int, shape: Shape, path: Path) -> bool:
        least, most = shape.rules.min_length, shape.rules.max_length
        if least is not None and count < least:
            self._wrong(node, path, f"at least {least} {'is' if least == 1 else 'are'} needed, found {count or 'none'}")
            return True
        if most is not None and count > most:
            self._wrong(node, path, f"at most {most} {'is' if most == 1 else 'are'} allowed, found {count}")
            return True
        return False

    def _union(self, node: Node, shape: Shape, path: Path) -> Any:
        fitting = [member for member in shape.of if choose.fits(node, member, self.parsers)]
        solid = [member for member in shape.of if member.form != "null"]
        if len(fitting or solid) == 1:
            return self.value(node, (fitting or solid)[0], path)
        if not fitting:
            return self._misfit(node, shape, path)
        if node.kind != "map":
            return self._first(node, fitting, path)
        structs = [member for member in fitting if member.form == "struct"]
        try:
            return self.value(node, choose.by_keys(node, structs, guess=len(self.problems) < _HINTS_MAX), path)
        except choose.Torn as torn:
            return self._wrong(torn.node, path, str(torn))

    def _first(self, node: Node, members: list[Shape], path: Path) -> Any:
        """The first member that reads; else the words of the one that knows best, which is a list of choices."""
        before = len(self.problems)
        for member in sorted(members, key=lambda member: member.form == "choice"):
            del self.problems[before:]
            value = self.value(node, member, path)
            if value is not BAD:
                return value
        return BAD

    def _struct(self, node: Node, shape: Shape, path: Path) -> Any:
        cls = shape.cls
        strict = cls.__struct_config__.forbid_unknown_fields
        if cls in self.parsers and (node.kind != "map" or not strict):
            return self._parsed(node, cls, path)
        node = self._used(node, cls, path)
        if node is BAD:
            return BAD
        path = path if node.base is None else node.base
        if node.kind != "map":
            return self._misfit(node, shape, path)
        if hasattr(cls, "keyed"):
            spelled = keyed.spelled_out(node, cls, self.kinds, path)
            if isinstance(spelled, list):
                self.problems += spelled
                return BAD
            node = spelled
        known = fields(cls)
        whole = self._keys(node, cls, known, path)
        values = self._values(node, known, path, whole)
        if not whole or any(value is BAD for value in values.values()):
            return BAD
        return self._built(node, cls, values, path)

    def _parsed(self, node: Node, cls: type, path: Path) -> Any:
        try:
            return self.parsers[cls](plain(node))
        except ValueError as wrong:
            return self._wrong(node, path, str(wrong))

    def _used(self, node: Node, cls: Any, path: Path) -> Any:
        """The mapping itself, or the one that its `use:` names."""
        overridable = getattr(cls, "overridable", None)
        if self.shared is None or overridable is None or node.get("use") is None:
            return node
        found = self.shared(node, overridable, path)
        if isinstance(found, Node):
            return found
        self.problems += found
        return BAD

    def _keys(self, node: Node, cls: Any, known: tuple[Field, ...], path: Path) -> bool:
        """Whether every key is known and none is missing. An unknown key stands for a missing one: one mistake."""
        names, there = _names(cls), node.children()
        strange = [pair.key for pair in node.pairs if pair.key.kind == "text" and pair.key.value not in names]
        missing = [field.key for field in known if field.required and field.key not in there]
        free = sorted(name for name in names if name not in there) if strange else []
        for key in strange:
            message = self._strange(str(key.value), missing, free, sorted(names))
            self._wrong(key, (*path, str(key.value)), message)
        if any(pair.key.kind == "bad" for pair in node.pairs):
            return False
        if missing and not strange:
            keys = " and ".join(f"'{name}'" for name in missing)
            self._wrong(node, path, f"missing key{'s' if len(missing) > 1 else ''} {keys}")
        return not strange and not missing

    def _strange(self, key: str, missing: list[str], free: list[str], names: list[str]) -> str:
        if len(self.problems) > _HINTS_MAX:
            return f"unknown key {spelling.shown(key)}"
        meant = spelling.nearest(key, missing) or spelling.nearest(key, free)
        if meant:
            return f"unknown key {spelling.shown(key)}; did you mean '{meant}'?"
        if missing:
            return f"unknown key {spelling.shown(key)}; missing here: {spelling.listed(missing, 'and')}"
        return spelling.unknown("key", key, names)

    def _values(self, node: Node, known: tuple[Field, ...], path: Path, whole: bool) -> dict[str, Any]:
        kind = next((f for f in known if f.key in self.kinds and f.shape.form == "text"), None)
        values, there = {}, node.children()
        for field in known:
            child = there.get(field.key)
            if kind and field.key in OPEN and field.shape.form == "map":
                continue
            if child is not None:
                values[field.name] = self.value(child, field.shape, (*path, field.key))
        if kind and values.get(kind.name, BAD) is not BAD:
            cls = self._kind(node, kind, values[kind.name], path)
            values |= {kind.name: BAD} if cls is BAD else self._opened(node, cls, known, path, whole)
        return values

    def _kind(self, node: Node, kind: Field, name: str, path: Path) -> Any:
        """The Struct of the kind that is named here."""
        known = self.kinds[kind.key]
        try:
            cls = known.get(name)
        except ValueError as broken:
            return self._wrong(node.get(kind.key) or node, (*path, kind.key), str(broken))
        if cls is not None:
            return cls
        return self._wrong(node.get(kind.key) or node, (*path, kind.key), spelling.unknown(kind.key, name, known))

    def _opened(self, node: Node, cls: Any, known: tuple[Field, ...], path: Path, whole: bool) -> dict[str, Any]:
        """The mappings whose fields belong to the kind that is named beside them, as plain dicts in base units."""
        opened = {}
        for field in known:
            if field.key not in OPEN or field.shape.form != "map":
                continue
            if not whole and node.get(field.key) is None:
                continue  # a mistyped key may have been meant for it
            wanted = getattr(cls, OPEN[field.key], None) if OPEN[field.key] else cls
            child = node.get(field.key) or msgspec.structs.replace(node, pairs=(), base=None)
            value = self.value(child, Shape("struct", cls=wanted) if wanted else field.shape, (*path, field.key))
            opened[field.name] = value if value is BAD else msgspec.to_builtins(value)
        return opened

    def _built(self, node: Node, cls: Any, values: dict[str, Any], path: Path) -> Any:
        """The Struct, unless its own cross-field check has something to say."""
        try:
            value = cls(**values)
        except ValueError as wrong:
            return self._wrong(node, path, str(wrong))
        check = getattr(value, "problems", None)
        found = list(check()) if callable(check) else []
        for below, message in found:
            place, shown = locate(node, below, path)
            self._wrong(place, shown, message)
        return BAD if found else value


@functools.cache
def _names(cls: Any) -> frozenset[str]:
    """The keys that its mapping may have."""
    tag = cls.__struct_config__.tag_field
    return frozenset([field.key for field in fields(cls)] + ([tag] if tag else []))


_READERS: dict[str, Callable[[_Walk, Node, Shape, Path], Any]] = {
    **dict.fromkeys(("null", "bool", "int", "float", "text", "choice"), _Walk._scalar),  # noqa: SLF001
    "any": _Walk._any,  # noqa: SLF001
    "list": _Walk._list,  # noqa: SLF001
    "map": _Walk._map,  # noqa: SLF001
    "struct": _Walk._struct,  # noqa: SLF001
    "union": _Walk._union,  # noqa: SLF001
}
