"""The words for shapes and values in problems, `explain` and descriptions. No IO."""

from __future__ import annotations

from collections.abc import Container

from chaos_runner import spelling
from chaos_runner.expect import UNITS
from chaos_runner.load.nodes import Node
from chaos_runner.load.shapes import Rules, Shape

_FORMS = {
    "any": "anything",
    "null": "nothing",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "text",
    "list": "a list",
    "map": "a mapping",
    "struct": "a mapping",
}


def expected(shape: Shape, parsed: Container[type] = ()) -> str:
    """What a value must be: "a list", "a duration such as 30s", "one of latency, timeout"."""
    if shape.rules.unit:
        return f"a {shape.rules.unit} such as {UNITS[shape.rules.unit][1]}"
    if shape.form == "choice":
        return ("one of " if len(shape.choices) > 1 else "") + spelling.listed(shape.choices)
    if shape.form == "struct" and shape.cls in parsed:
        return scalar(shape.cls) + (" or a mapping" if strict(shape.cls) else "")
    if shape.form == "union":
        return " or ".join(dict.fromkeys(expected(member, parsed) for member in shape.of if member.form != "null"))
    return _FORMS[shape.form]


def scalar(cls: type) -> str:
    """How a Struct that is written as a scalar looks: its `written`, else text."""
    return str(getattr(cls, "written", "text"))


def strict(cls: type) -> bool:
    """Whether it refuses unknown keys: such a Struct is also read from a mapping."""
    return bool(getattr(cls, "__struct_config__").forbid_unknown_fields)  # noqa: B009 - unknown to the type checker


def found(node: Node) -> str:
    """What stands there instead."""
    if node.kind == "null":
        return "nothing"
    if node.kind in {"map", "list"}:
        return f"a {'mapping' if node.kind == 'map' else 'list'}"
    if node.kind == "text":
        return f"text {spelling.shown(node.value)}"
    if node.kind == "bool":
        return "true" if node.value else "false"
    return f"the number {node.value}"


def limits(rules: Rules) -> str:
    """`at least 1, at most 100`, in words."""
    bounds = (("at least", rules.ge), ("more than", rules.gt), ("at most", rules.le), ("less than", rules.lt))
    said = [f"{word} {amount(value, rules.unit)}" for word, value in bounds if value is not None]
    return ", ".join(said if not rules.unit or rules.ge != 0 else said[1:])


def amount(value: float, unit: str = "") -> str:
    """A number in base units, as an author would write it."""
    if unit == "duration":
        return _duration(value)
    text = f"{round(value * 100, 9) if unit == 'percent' else value:g}"
    return text + {"percent": "%", "rate": "/s", "size": "B", "bandwidth": "B/s"}.get(unit, "")


def _duration(seconds: float) -> str:
    for name, factor in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * factor and seconds % factor == 0:
            return f"{seconds / factor:g}{name}"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{round(seconds * 1000, 9):g}ms"
