"""JSON answers as flat gauges: `json.items[0].price`. No IO."""

from __future__ import annotations

import math
from typing import Any

import msgspec

LEAVES_MAX = 500
DEPTH_MAX = 10


def flat(body: bytes | str) -> dict[str, Any]:
    """Every scalar of a JSON document under its path. Nothing where it is no JSON: its clauses are then unknown."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    found: dict[str, Any] = {}
    _add(found, "json", document, 0)
    return found


def _add(found: dict[str, Any], path: str, value: Any, depth: int) -> None:
    if len(found) >= LEAVES_MAX or depth > DEPTH_MAX:
        return
    if isinstance(value, dict):
        for key, below in value.items():
            _add(found, f"{path}.{key}", below, depth + 1)
    elif isinstance(value, list):
        for n, below in enumerate(value[:LEAVES_MAX]):
            _add(found, f"{path}[{n}]", below, depth + 1)
    elif not (isinstance(value, float) and not math.isfinite(value)):
        found[path] = value
