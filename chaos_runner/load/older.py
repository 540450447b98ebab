"""What plain scalars mean in YAML 1.1, by which Chaos Toolkit's files are read: `yes` is true, `010` is 8. No IO."""

from __future__ import annotations

import math
from typing import Any

from chaos_runner._imports import expressions_later
from chaos_runner.load.nodes import Kind, Scalar

with expressions_later():
    import yaml

_DIGITS_MAX = 40
_KINDS: dict[str, Kind] = {"null": "null", "bool": "bool", "int": "int", "float": "float"}


def resolve(text: str) -> tuple[Kind, Scalar]:
    """As PyYAML's safe loader reads it; a date stays text. Raises ValueError for a number nobody can mean."""
    tag: str = _resolver.resolve(yaml.ScalarNode, text, (True, False))
    kind = _KINDS.get(tag.rpartition(":")[2])
    if kind is None:
        return "text", text
    if len(text) > _DIGITS_MAX:
        msg = f"a number of {len(text)} digits is too large"
        raise ValueError(msg)
    value = getattr(_constructor, f"construct_yaml_{kind}")(yaml.ScalarNode(tag, text))
    if kind == "int" and abs(value) >= 2**63:
        msg = f"the number {text} is too large"
        raise ValueError(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{text} is not a finite number"
        raise ValueError(msg)
    return kind, value


_resolver: Any = yaml.resolver.Resolver()
_constructor: Any = yaml.constructor.SafeConstructor()
