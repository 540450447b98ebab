"""Two runs side by side: what differs in file, plan, environment, figures and verdict. No IO."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from chaos_runner.history import Run
from chaos_runner.review.digest import CheckFigures, Digest, figures

Unit = Literal["text", "duration", "share", "number"]
Value = float | str | None

FILE_MAX, LINES_MAX, ROWS_MAX, DEPTH_MAX = 64_000, 400, 200, 12
_OF_FILE = frozenset({"text", "sha256", "source"})
_OF_ENVIRONMENT = frozenset({"environment", "connections", "layers", "bound_s"})


class Row(msgspec.Struct, frozen=True):
    """One thing in both runs; None where one of them has it not."""

    what: str
    first: Value
    second: Value
    unit: Unit = "text"

    @property
    def differs(self) -> bool:
        """Whether it is not the same in both."""
        return self.first != self.second


class Difference(msgspec.Struct, frozen=True):
    """What differs. `verdict` and `figures` are whole, the others hold only differences; `cut` says what is not shown.

    `comparable` is empty where the figures may be compared, else it names what stands in the way.
    """

    first: Digest
    second: Digest
    comparable: tuple[str, ...]
    verdict: tuple[Row, ...]
    figures: tuple[Row, ...]
    file: tuple[str, ...]
    plan: tuple[Row, ...]
    environment: tuple[Row, ...]
    cut: tuple[str, ...] = ()


def between(one: tuple[Run, Digest], two: tuple[Run, Digest]) -> Difference:
    """The difference of two runs, oldest or not: the first is what the second is held against."""
    (old, first), (new, second) = one, two
    lines, cut_file = _file(old.plan, new.plan)
    parts = [part for part in ("environment", "load", "plan", "clauses") if _other(first, second, part)]
    plan = list(_rows(_without(old.plan, _OF_FILE | _OF_ENVIRONMENT), _without(new.plan, _OF_FILE | _OF_ENVIRONMENT)))
    around = list(_rows(_around(old), _around(new)))
    cut = [f"the file's difference ends after {LINES_MAX} lines"] if cut_file else []
    cut += [f"{len(rows) - ROWS_MAX} more in the {name}" for name, rows in (("plan", plan), ("environment", around))
            if len(rows) > ROWS_MAX]  # fmt: skip
    return Difference(
        first,
        second,
        tuple(parts),
        tuple(_verdict(first, second)),
        tuple(_figures(first, second)),
        lines,
        tuple(plan[:ROWS_MAX]),
        tuple(around[:ROWS_MAX]),
        tuple(cut),
    )


def _other(first: Digest, second: Digest, part: str) -> bool:
    old, new = getattr(first.identity, part), getattr(second.identity, part)
    return not new or old != new


def _verdict(first: Digest, second: Digest) -> Iterator[Row]:
    for what, name in (("verdict", "word"), ("finding", "finding"), ("stopped by", "stopped_by"),
                       ("clean-up", "cleanup"), ("why", "why")):  # fmt: skip
        yield Row(what, getattr(first, name) or None, getattr(second, name) or None)
    old, new = ({(one.check, one.clause): one.state for one in side.clauses} for side in (first, second))
    for key in dict.fromkeys([*old, *new]):
        yield Row(": ".join(key), old.get(key), new.get(key))


_SIDES = (("before", 0), ("during", 1))


def _figures(first: Digest, second: Digest) -> Iterator[Row]:
    for name in dict.fromkeys(one.check for side in (first, second) for one in side.checks):
        yield from _check(name, figures(first, name), figures(second, name))
    yield Row("recovered", _told(first.recovered), _told(second.recovered))
    yield Row("recovery took", first.recovery_s, second.recovery_s, "duration")
    yield Row("injection to decision", first.decision_s, second.decision_s, "duration")
    yield Row("decision to fault gone", first.halt_s, second.halt_s, "duration")
    yield Row("requests harmed", first.harmed, second.harmed, "number")
    yield Row("targets touched", first.touched, second.touched, "number")
    yield Row("took", first.took_s, second.took_s, "duration")


def _check(name: str, old: CheckFigures | None, new: CheckFigures | None) -> Iterator[Row]:
    for metric, unit in (("median", "duration"), ("p95", "duration"), ("success", "share")):
        for side, n in _SIDES:
            pair = [None if one is None else getattr(one, metric)[n] for one in (old, new)]
            if pair != [None, None]:
                yield Row(f"{name}: {metric} {side}", pair[0], pair[1], unit)  # type: ignore[arg-type]
    shifts = [one.shift.value if one is not None and one.shift is not None else None for one in (old, new)]
    if shifts != [None, None]:
        yield Row(f"{name}: shift of p95", shifts[0], shifts[1], "duration")


def _told(recovered: bool | None) -> str | None:
    return None if recovered is None else "in time" if recovered else "not in time"


def _file(old: dict[str, Any], new: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    texts = [str(plan.get("text", ""))[:FILE_MAX].splitlines() for plan in (old, new)]
    names = [str(plan.get("source", "")) or "(no file)" for plan in (old, new)]
    if texts[0] == texts[1]:
        return (), False
    told = list(difflib.unified_diff(texts[0], texts[1], names[0], names[1], n=2, lineterm=""))
    return tuple(told[:LINES_MAX]), len(told) > LINES_MAX


def _around(run: Run) -> dict[str, Any]:
    found = {name: run.plan[name] for name in sorted(_OF_ENVIRONMENT) if name in run.plan}
    return {**found, "versions": run.versions, "actor": run.actor}


def _without(plan: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name not in names}


def _rows(old: object, new: object, path: str = "", depth: int = 0) -> Iterable[Row]:
    if old == new:
        return
    if depth < DEPTH_MAX and isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _rows(old.get(key), new.get(key), f"{path}.{key}" if path else str(key), depth + 1)
    elif depth < DEPTH_MAX and isinstance(old, list | tuple) and isinstance(new, list | tuple):
        for n in range(max(len(old), len(new))):
            pair = [side[n] if n < len(side) else None for side in (old, new)]
            yield from _rows(pair[0], pair[1], f"{path}[{n}]", depth + 1)
    else:
        yield Row(path, _shown(old), _shown(new))


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
