"""One scalar node into one typed value, or a ValueError whose sentence says what was expected. No IO."""

from __future__ import annotations

import functools
import math
import re
from typing import Any

from chaos_runner import expect, spelling
from chaos_runner.load import words
from chaos_runner.load.nodes import Node
from chaos_runner.load.shapes import Rules, Shape


class Wrong(ValueError):
    """The value does not fit, in a sentence."""


def read(node: Node, shape: Shape) -> Any:
    """The value of a scalar node."""
    return _READERS[shape.form](node, shape)


def _misfit(node: Node, shape: Shape) -> Wrong:
    hint = ""
    if shape.form == "text" and node.kind in {"int", "float", "bool"}:
        hint = "; put it in quotes"
    if shape.form in {"int", "float", "bool"} and node.quoted:
        hint = "; remove the quotes" if not shape.rules.unit else ""
    return Wrong(f"expected {words.expected(shape)}, found {words.found(node)}{hint}")


def _any(node: Node, _shape: Shape) -> Any:
    return _finite(node)


def _null(node: Node, shape: Shape) -> None:
    if node.kind != "null":
        raise _misfit(node, shape)


def _bool(node: Node, shape: Shape) -> Any:
    if node.kind != "bool":
        raise _misfit(node, shape)
    return node.value


def _int(node: Node, shape: Shape) -> Any:
    if node.kind != "int":
        raise _misfit(node, shape)
    return _bounded(node.value, shape.rules)


def _float(node: Node, shape: Shape) -> float:
    if shape.rules.unit:
        return _quantity(node, shape)
    if node.kind not in {"int", "float"}:
        raise _misfit(node, shape)
    return float(_bounded(_finite(node), shape.rules))


def _quantity(node: Node, shape: Shape) -> float:
    if node.kind not in {"text", "int", "float"}:
        raise _misfit(node, shape)
    return float(_bounded(expect.quantity(shape.rules.unit, _finite(node)), shape.rules))


def _finite(node: Node) -> Any:
    if isinstance(node.value, float) and not math.isfinite(node.value):
        msg = f"{node.value} is not a finite number"
        raise Wrong(msg)
    return node.value


def _bounded(value: Any, rules: Rules) -> Any:
    low = (rules.ge is not None and value < rules.ge) or (rules.gt is not None and value <= rules.gt)
    high = (rules.le is not None and value > rules.le) or (rules.lt is not None and value >= rules.lt)
    if low or high:
        msg = f"{words.amount(value, rules.unit)} is out of range: {words.limits(rules)}"
        raise Wrong(msg)
    if rules.multiple_of is not None and value % rules.multiple_of:
        msg = f"{value} is not a multiple of {rules.multiple_of}"
        raise Wrong(msg)
    return value


def _text(node: Node, shape: Shape) -> Any:
    if node.kind != "text":
        raise _misfit(node, shape)
    return fitting_text(str(node.value), shape.rules)


def fitting_text(text: str, rules: Rules) -> str:
    """The text itself, when its length and pattern are allowed."""
    if rules.min_length is not None and len(text) < rules.min_length:
        msg = "empty text is not allowed" if not text else f"at least {rules.min_length} characters are needed"
        raise Wrong(msg)
    if rules.max_length is not None and len(text) > rules.max_length:
        msg = f"{len(text)} characters are too many; at most {rules.max_length}"
        raise Wrong(msg)
    if rules.pattern is not None and not _matches(rules.pattern, text):
        wanted = rules.description or f"it must match {rules.pattern}"
        msg = f"{spelling.shown(text)} is not allowed here: {wanted}"
        raise Wrong(msg)
    return text


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # A trailing `$` would let a newline through.
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") and not pattern.endswith(r"\$") else pattern)


def _choice(node: Node, shape: Shape) -> Any:
    for choice in shape.choices:
        if type(choice) is type(node.value) and choice == node.value:
            return shape.cls(choice) if shape.cls else choice
    if node.kind != "text" or not any(isinstance(choice, str) for choice in shape.choices):
        raise _misfit(node, shape)
    raise Wrong(spelling.unknown(shape.rules.noun or "word", str(node.value), map(str, shape.choices)))


_READERS = {
    "any": _any,
    "null": _null,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "text": _text,
    "choice": _choice,
}
