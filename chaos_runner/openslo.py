"""Service level objectives from OpenSLO v1 files. Reads the file; refuses in a sentence what cannot be counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from chaos_runner import load
from chaos_runner.environment import Ratio, Slo, Threshold

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_OPS: dict[str, Any] = {"lte": "<=", "lt": "<", "gte": ">=", "gt": ">"}
DOCUMENTS_MAX = 100
BYTES_MAX = 1 << 20


class Unreadable(Exception):
    """The file says no objective that we can count; the sentence says why."""


class _Spec(msgspec.Struct, frozen=True):
    query: str = ""
    expr: str = ""


class _Source(msgspec.Struct, frozen=True):
    type: str = "Prometheus"
    spec: _Spec = _Spec()


class _Metric(msgspec.Struct, frozen=True, rename="camel"):
    metric_source: _Source


class _Ratio(msgspec.Struct, frozen=True):
    total: _Metric
    good: _Metric | None = None
    bad: _Metric | None = None
    counter: bool = False


class _IndicatorSpec(msgspec.Struct, frozen=True, rename="camel"):
    ratio_metric: _Ratio | None = None
    threshold_metric: _Metric | None = None


class _Indicator(msgspec.Struct, frozen=True):
    spec: _IndicatorSpec


class _Window(msgspec.Struct, frozen=True, rename="camel"):
    duration: str
    is_rolling: bool = False


class _Objective(msgspec.Struct, frozen=True, rename="camel"):
    target: float | None = None
    target_percent: float | None = None
    op: str = ""
    value: float | None = None
    time_slice_window: str = "1m"


class _SloSpec(msgspec.Struct, frozen=True, rename="camel"):
    objectives: tuple[_Objective, ...]
    time_window: tuple[_Window, ...] = ()
    budgeting_method: str = "Occurrences"
    service: str = ""
    indicator: _Indicator | None = None
    indicator_ref: str = ""


def read(path: Path, name: str = "") -> Slo:
    """The SLO of this name, or the only one. Raises Unreadable."""
    documents = _documents(path)
    slos = {_name(one): one for one in documents if one.get("kind") == "SLO"}
    if not name and len(slos) == 1:
        name = next(iter(slos))
    if name not in slos:
        _refuse(path, f"has no SLO '{name}'; it has: {', '.join(sorted(slos)) or 'none'}")
    spec = _as(_SloSpec, slos[name].get("spec"), path)
    indicator = spec.indicator or _referred(documents, spec.indicator_ref, path)
    return _slo(path, spec, indicator.spec)


def _slo(path: Path, spec: _SloSpec, indicator: _IndicatorSpec) -> Slo:
    if len(spec.objectives) != 1 or len(spec.time_window) != 1:
        _refuse(path, "an SLO with exactly one objective and one time window can be counted")
    objective, window = spec.objectives[0], spec.time_window[0]
    if not window.is_rolling:
        _refuse(path, "a calendar window cannot be counted; write isRolling: true")
    target = objective.target if objective.target is not None else (objective.target_percent or 0.0) / 100
    if not 0 < target < 1:
        _refuse(path, f"the target {target:g} is not between 0 and 1")
    over = _seconds(window.duration, path)
    if indicator.ratio_metric is not None and spec.budgeting_method == "Occurrences":
        return Slo(service=spec.service, objective=target, over=over, ratio=_ratio(indicator.ratio_metric, path))
    if indicator.threshold_metric is not None:
        threshold = _threshold(indicator.threshold_metric, objective, path)
        return Slo(service=spec.service, objective=target, over=over, threshold=threshold)
    raise Unreadable(f"{path}: the budgeting method {spec.budgeting_method} of this indicator cannot be counted")


def _ratio(metric: _Ratio, path: Path) -> Ratio:
    if (metric.good is None) == (metric.bad is None):
        _refuse(path, "a ratio names either good or bad events")
    good, bad = (_query(one, path) if one is not None else "" for one in (metric.good, metric.bad))
    return Ratio(total=_query(metric.total, path), good=good, bad=bad, counter=metric.counter)


def _threshold(metric: _Metric, objective: _Objective, path: Path) -> Threshold:
    if objective.op not in _OPS or objective.value is None:
        _refuse(path, "a threshold needs `op` (lte, lt, gte, gt) and `value` in its objective")
    slice_s = _seconds(objective.time_slice_window, path)
    return Threshold(query=_query(metric, path), op=_OPS[objective.op], value=objective.value, slice=slice_s)


def _query(metric: _Metric, path: Path) -> str:
    source = metric.metric_source
    if source.type.lower() != "prometheus" or not (source.spec.query or source.spec.expr):
        _refuse(path, f"a metric source of type {source.type!r:.40} with a `query` is none that we can ask")
    return source.spec.query or source.spec.expr


def _seconds(text: str, path: Path) -> float:
    found = re.fullmatch(r"(\d{1,4})([mhdw])", text)
    if found is None or not int(found[1]):
        _refuse(path, f"{text!r:.40} is no length of time that we can count; write 30d or 4w")
    return int(found[1]) * _UNITS[found[2]]


def _referred(documents: list[dict[str, Any]], name: str, path: Path) -> _Indicator:
    found = [one for one in documents if one.get("kind") == "SLI" and _name(one) == name]
    if len(found) != 1:
        _refuse(path, f"has no SLI '{name}' beside the SLO")
    indicator: _Indicator = _as(_Indicator, found[0], path)
    return indicator


def _documents(path: Path) -> list[dict[str, Any]]:
    """The documents of the file, each guarded by itself. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as why:
        _refuse(path, f"cannot be read: {getattr(why, 'strerror', None) or 'not UTF-8'}")
    parts = [part for part in re.split(r"(?m)^---\s*$", text) if part.strip()]
    if len(content) > BYTES_MAX or len(parts) > DOCUMENTS_MAX:
        _refuse(path, f"is larger than {BYTES_MAX} bytes, or has more than {DOCUMENTS_MAX} documents")
    return [_document(part, path) for part in parts]


def _document(text: str, path: Path) -> dict[str, Any]:
    tree = load.guard(text, str(path))
    if tree.root is None or tree.problems:
        _refuse(path, tree.problems[0].message)
    value = load.plain(tree.root)
    if not isinstance(value, dict) or value.get("apiVersion") != "openslo/v1":
        _refuse(path, "is not `apiVersion: openslo/v1`")
    return value


def _name(document: dict[str, Any]) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _as(type_: Any, value: object, path: Path) -> Any:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as why:
        _refuse(path, f"says something else than OpenSLO v1: {why}")


def _refuse(path: Path, why: str) -> NoReturn:
    raise Unreadable(f"{path}: {why}")
