"""Reads experiment files: their shape by `load`, then what only the kinds know: which metrics a clause may name.

Every problem comes back at once, with its place. Reads files only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner import configure, expect, load, radius, registry, spelling
from chaos_runner.api import Metric
from chaos_runner.config import Checks, Config
from chaos_runner.expect import Clause
from chaos_runner.load import Document, Invalid, Loaded, Node, Problem
from chaos_runner.load.nodes import locate
from chaos_runner.model import Check, Experiment, Where
from chaos_runner.when import ClosedDays, Schedules

_PACKAGE = Path(__file__).resolve().parent


def kinds() -> dict[str, Any]:
    """Every kind a file may name, imported when named."""
    return {"fault": registry.faults, "probe": registry.probes, **configure.kinds()}


def read_experiment(path: Path) -> Loaded[Experiment]:
    """A valid experiment. Raises load.Invalid with every problem of the file."""
    return _experiment(load.read(path))


def _experiment(document: Document) -> Loaded[Experiment]:
    try:
        loaded = load.load(document, Experiment, kinds=kinds(), parsers=configure.parsers())
    except Invalid as invalid:
        raise Invalid(_with_clauses(document, invalid), invalid.sources) from None
    problems = list(_problems(loaded))
    if problems:
        raise Invalid(problems, {loaded.document.file: loaded.document.text})
    return loaded


def read_any(path: Path) -> Loaded[Any]:
    """A valid file of any kind, told by its `kind:`; Chaos Toolkit's by their shape. Raises load.Invalid."""
    document = load.read(path)
    root = document.root
    kind = root.get("kind") if root.kind == "map" else None
    if kind is not None and kind.value == "experiment/v1":
        return _experiment(document)
    if kind is None and root.get("method") is not None:
        from chaos_runner.chaostoolkit import reading

        if reading.is_one(root):
            return reading.loaded(path)
    from chaos_runner.gameday.scenario import Scenario

    if kind is not None and kind.value == "scenario/v1":
        from chaos_runner import scenarios

        return scenarios.of(document).loaded
    types = (Experiment, Scenario, Config, Checks, Schedules, ClosedDays)
    return load.load(document, *types, kinds=kinds(), parsers=configure.parsers())


def bundled(folder: str = "experiments") -> Path:
    """Where the files that ship with the package are: in the wheel, or in a checkout beside it."""
    inside = _PACKAGE / "_bundled" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def _with_clauses(document: Document, invalid: Invalid) -> list[Problem]:
    """The problems of a misshapen file, and those of the clauses of every check that is well-shaped by itself."""
    problems = list(invalid.problems)
    if problems[0].line == 0:
        return problems
    root = document.root
    checks = root.get("steady_state") if root.kind == "map" else None
    for pair in checks.pairs if checks is not None else ():
        check, wrong = load.walk(pair.value, Check, kinds=kinds(), parsers=configure.parsers())
        if check is not None and not wrong:
            problems += _clause_problems(check, pair.value, str(pair.key.value), document.file)
    return sorted(set(problems))


def _clause_problems(check: Check, node: Node, name: str, file: str) -> Iterator[Problem]:
    for field, n, why in _misfits(check):
        place, _path = locate(node, (field, n))
        yield Problem(file, place.line, place.col, f"steady_state.{name}.{field}[{n}]", why)


def _misfits(check: Check) -> Iterator[tuple[str, int, str]]:
    metrics = _probe(check).metrics()
    for field in ("expect", "during"):
        for n, clause in enumerate(getattr(check, field)):
            why = _misfit(clause, metrics, check)
            if why:
                yield field, n, why


def _problems(loaded: Loaded[Experiment]) -> Iterator[Problem]:
    experiment = loaded.value
    for name, check in experiment.steady_state.items():
        for field, n, why in _misfits(check):
            yield _at(loaded, ("steady_state", name, field, n), why)
    for path, why in (*_unconfirmable(experiment), *radius.problems(experiment, registry.faults)):
        yield _at(loaded, path, why)


def _unconfirmable(experiment: Experiment) -> Iterator[Where]:
    """Confirmations by what no check measures."""
    known = experiment.steady_state
    for path, step in experiment.placed():
        for n, one in enumerate(step.confirm):
            if one.check and one.check not in known:
                yield (*path, "confirm", n), spelling.unknown("check", one.check, known)
            elif one.check and (why := unmeasured(one.metric, known[one.check])):
                yield (*path, "confirm", n), why


def unmeasured(name: str, check: Check) -> str:
    """Why a check does not measure this; empty where it does."""
    metrics = _probe(check).metrics()
    return "" if any(metric.covers(name) for metric in metrics) else _no_metric(name, metrics, check)


def _no_metric(name: str, metrics: tuple[Metric, ...], check: Check) -> str:
    return spelling.unknown(f"metric of probe '{check.probe}'", name, [metric.name for metric in metrics])


def _probe(check: Check) -> Any:
    return msgspec.convert(check.with_, registry.probes[check.probe])


def _misfit(clause: Clause, metrics: tuple[Metric, ...], check: Check) -> str:
    metric = next((metric for metric in metrics if metric.covers(clause.metric)), None)
    if metric is None:
        return _no_metric(clause.metric, metrics, check)
    if metric.kind == "event":
        try:
            expect.allowance(clause)
        except ValueError as why:
            return str(why)
    return _wrong_unit(clause, metric)


def _wrong_unit(clause: Clause, metric: Metric) -> str:
    written = clause.text.split(clause.op, 1)[1].strip()
    unit = expect.unit_of(written) or "number"
    if metric.unit == "duration" and unit != "duration":
        return f"'{clause.text}': {clause.metric} is a duration; write one such as '{clause.metric} {clause.op} 800ms'"
    if metric.unit == "percent" and unit != "percent":
        return f"'{clause.text}': {clause.metric} is a share; write one such as '{clause.metric} {clause.op} 99%'"
    if metric.unit == "number" and not isinstance(clause.value, float):
        return f"'{clause.text}': {clause.metric} is a number"
    return ""


def _at(loaded: Loaded[Experiment], path: tuple[str | int, ...], why: str) -> Problem:
    line, col = loaded.position(path)
    return Problem(loaded.document.file, line, col, dotted(path), why)


def dotted(path: tuple[str | int, ...]) -> str:
    """A place in a file, as problems name it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
