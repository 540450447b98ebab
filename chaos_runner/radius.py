"""What a method touches as far as its file alone tells: targets by their own names, and how many are to be picked.

`plan` counts again once the targets are found. No IO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chaos_runner.model import Experiment, FaultStep, Pick, Where

Path = tuple[str | int, ...]
Name = tuple[type[Any], frozenset[tuple[str, str]]]  # of a target: its sort, and what its file calls it


def problems(experiment: Experiment, faults: Mapping[str, type[Any]]) -> Iterator[Where]:
    """Steps that no environment could run within this blast radius."""
    steps = [(path, step, _selector(step, faults)) for path, step in experiment.placed()]
    yield from _picks(steps, experiment)
    yield from _names(steps, experiment)
    yield from _crowded(steps, faults)


def _selector(step: FaultStep, faults: Mapping[str, type[Any]]) -> Any:
    return msgspec.convert(step.target, faults[step.fault].selector)


def _picks(steps: list[tuple[Path, FaultStep, Any]], experiment: Experiment) -> Iterator[Where]:
    """A step harms all its targets at the same time."""
    most = experiment.blast_radius.at_once
    for path, _step, selector in steps:
        wanted = getattr(selector, "pick", Pick()).number
        if wanted > most:
            yield (*path, "target", "pick"), f"{wanted} targets; blast_radius.at_once allows {most}"


def _names(steps: list[tuple[Path, FaultStep, Any]], experiment: Experiment) -> Iterator[Where]:
    """More targets by name than allowed, in a step or in all; told at the limit, which may not even be written."""
    allowed = experiment.blast_radius
    met: set[Name] = set()
    together: dict[str | int, set[Name]] = {}
    for path, _step, selector in steps:
        if (name := _name(selector)) is not None:
            met.add(name)
            together.setdefault(path[1], set()).add(name)
    many = [(step, len(names)) for step, names in together.items() if len(names) > allowed.at_once]
    if many:
        step, count = many[0]
        yield ("blast_radius", "at_once"), f"method[{step}] harms {count} targets at once, {allowed.at_once} allowed"
    elif len(met) > allowed.in_total:
        yield ("blast_radius", "in_total"), f"the method names {len(met)} targets, {allowed.in_total} allowed"


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
