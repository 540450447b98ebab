"""An instance of a kind with any fields at all, for questions whose answer does not depend on them. No IO."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.load.shapes import Shape, fields


def of(cls: Any, **given: Any) -> Any:
    """An instance whose required fields hold something that fits their type."""
    filled = {field.key: _any(field.shape) for field in fields(cls) if field.required}
    return msgspec.convert({**filled, **given}, cls)


def has(cls: Any, key: str) -> bool:
    """Whether the kind has a field of this name."""
    return any(field.key == key for field in fields(cls))


def _any(shape: Shape) -> Any:
    if shape.form == "choice":
        return shape.choices[0]
    if shape.form == "list":
        return [_any(shape.of[0])]
    if shape.form in {"map", "struct"}:
        return {}
    return {"text": "/x", "int": 1, "float": 1.0, "bool": False}.get(shape.form)
