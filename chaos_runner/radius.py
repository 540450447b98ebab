"""What a method touches as far as its file alone tells: the places of targets that it calls by their names.

How many targets there are is for `plan` to count, once they are found. No IO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chaos_runner.model import Experiment, FaultStep, Where

Path = tuple[str | int, ...]
Name = tuple[type[Any], frozenset[tuple[str, str]]]  # of a target: its sort, and what its file calls it


def problems(experiment: Experiment, faults: Mapping[str, type[Any]]) -> Iterator[Where]:
    """Steps that no environment could run."""
    beside_others = [(path, step) for path, step in experiment.placed() if "parallel" in path]
    yield from _crowded([(path, step, _selector(step, faults)) for path, step in beside_others], faults)


def _selector(step: FaultStep, faults: Mapping[str, type[Any]]) -> Any:
    return msgspec.convert(step.target, faults[step.fault].selector)


def _crowded(steps: list[tuple[Path, FaultStep, Any]], faults: Mapping[str, type[Any]]) -> Iterator[Where]:
    """Two faults at the same time on the same place of one named target."""
    taken: dict[tuple[str | int, Name, str], Path] = {}
    for path, step, selector in steps:
        name = _name(selector)
        if name is None:
            continue
        place = (path[1], name, msgspec.convert(step.with_, faults[step.fault]).aspect())
        if place in taken:
            yield path, f"a second fault on the same place of one target, beside parallel[{taken[place][-1]}]"
        taken.setdefault(place, path)


def _name(selector: Any) -> Name | None:
    """What tells a target from others, where the selector names exactly one."""
    if not getattr(selector, "named", False):
        return None
    given = msgspec.to_builtins(selector)
    return type(selector), frozenset((key, str(value)) for key, value in given.items() if key != "pick")
