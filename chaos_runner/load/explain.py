"""What a kind, or a part of a file, is made of: the words of the types themselves, for people. No IO."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import msgspec

from chaos_runner import spelling
from chaos_runner.expect import UNITS
from chaos_runner.load import keyed, words
from chaos_runner.load.schema import summary
from chaos_runner.load.shapes import Field, Shape, fields
from chaos_runner.load.walk import OPEN, Kinds


def explain(name: str, *, types: Mapping[str, Any], kinds: Kinds | None = None, parsed: Container[type] = ()) -> str:
    """The fields behind a kind (`toxic`) or a path (`experiment.abort`).

    Raises LookupError with a sentence that names what is known.
    """
    kinds = kinds or {}
    found = [(f"{group} {name}", known[name]) for group, known in kinds.items() if known.get(name) is not None]
    if not found:
        found = _by_path(name, types, kinds)
    return "\n\n".join(_section(title, cls, parsed, kinds) for title, cls in found)


def _by_path(name: str, types: Mapping[str, Any], kinds: Kinds) -> list[tuple[str, Any]]:
    first, *steps = name.split(".")
    if first not in types:
        more = [known for group in kinds.values() for known in group]
        raise LookupError(spelling.unknown("name", first, [*types, *more]))
    found = [(first, types[first])]
    for n, step in enumerate(steps):
        path = ".".join((first, *steps[: n + 1]))
        found = list(dict.fromkeys((path, cls) for _, owner in found for cls in _below(owner, step)))
        if not found:
            return _leaf(first, types[first], steps[: n + 1], n == len(steps) - 1, kinds)
    return found


def _below(owner: Any, step: str) -> list[Any]:
    """The Structs under a key."""
    return [cls for field in fields(owner) if field.key == step for cls in structs(field.shape)]


def structs(shape: Shape) -> list[Any]:
    """Every Struct inside a shape: itself, its items, its members."""
    return [shape.cls] if shape.form == "struct" else [cls for inner in shape.of for cls in structs(inner)]


def _leaf(first: str, type_: Any, steps: list[str], last: bool, kinds: Kinds) -> list[tuple[str, Any]]:
    """The Structs that hold a key without fields of its own. Raises LookupError when there is no such key."""
    owners = [type_]
    for step in steps[:-1]:
        owners = [cls for owner in owners for cls in _below(owner, step)]
    path = ".".join((first, *steps[:-1]))
    known = [(cls, [field.key for field in keyed.keys(cls, kinds)]) for cls in owners]
    if last and any(steps[-1] in names for _cls, names in known):
        return [(path, cls) for cls, names in known if steps[-1] in names]
    names = [name for _cls, names in known for name in names]
    raise LookupError(spelling.unknown(f"key of {path}", steps[-1], names))


def _section(title: str, cls: Any, parsed: Container[type], kinds: Kinds) -> str:
    lines = [f"{title}: {summary(cls)}"]
    lines += _table(keyed.keys(cls, kinds), parsed)
    targets = getattr(cls, OPEN["target"], None)
    if isinstance(targets, type):  # a probe may have a field of that name
        lines += ["", "target:", *_table(fields(targets), parsed)]
    return "\n".join(lines)


def _table(known: tuple[Field, ...], parsed: Container[type]) -> list[str]:
    if not known:
        return ["  no fields"]
    width = max(len(field.key) for field in known)
    return [f"  {field.key:<{width}}  {_line(field, parsed)}" for field in known]


def _line(field: Field, parsed: Container[type]) -> str:
    parts = [in_words(field.shape, parsed), words.limits(field.shape.rules), _default(field)]
    line = ", ".join(part for part in parts if part)
    return f"{line}. {_said(field.shape)}" if _said(field.shape) else line


def _said(shape: Shape) -> str:
    """The field's description, unless it only repeats its unit's."""
    said, unit = shape.rules.description, shape.rules.unit
    return "" if unit and said.endswith(f", such as {UNITS[unit][1]}") else said


def in_words(shape: Shape, parsed: Container[type] = ()) -> str:
    """The type of a field: "a list of text", "a mapping of names to checks"."""
    if shape.form == "list":
        return f"a list of {in_words(shape.of[0], parsed)}"
    if shape.form == "map" and shape.of[1].form != "any":
        return f"a mapping of names to {in_words(shape.of[1], parsed)}"
    if shape.form == "struct" and shape.cls not in parsed:
        return _mapping(shape.cls)
    if shape.form == "struct":
        forms = f"{words.scalar(shape.cls)} or {_mapping(shape.cls)}" if words.strict(shape.cls) else ""
        said = "" if shape.rules.description else f" ({summary(shape.cls).rstrip('.')})"
        return (forms or words.scalar(shape.cls)) + said
    if shape.form == "union":
        return " or ".join(in_words(member, parsed) for member in shape.of if member.form != "null")
    return words.expected(shape, parsed)


def _mapping(cls: Any) -> str:
    return f"a mapping ({', '.join(field.key for field in fields(cls))})"


def _default(field: Field) -> str:
    if field.required:
        return "required"
    value = field.default
    if isinstance(value, float) and field.shape.rules.unit:
        return f"default {words.amount(value, field.shape.rules.unit)}"
    if isinstance(value, bool):
        return f"default {str(value).lower()}"
    if isinstance(value, int | float | str) and value != "":
        return f"default {value}"
    if isinstance(value, tuple | list) and value and all(isinstance(item, str) for item in value):
        return f"default [{', '.join(value)}]"
    if isinstance(value, msgspec.Struct):
        return f"default {value}" if hasattr(value, "written") else "has defaults"
    return "optional"
