"""Clauses and units: "p95 <= 800ms", "success >= 99%". No IO, no clock.

Everything with a unit becomes one float in base units: seconds, events per second, bytes, bytes per second, and
shares between 0 and 1.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args

import msgspec

_DURATIONS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "B": 1.0,
    "KB": 1e3,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
}
_RATES = {"s": 1.0, "m": 1 / 60, "h": 1 / 3600}
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"


# unit -> the pattern that a schema gives, and an example
UNITS: dict[str, tuple[str, str]] = {
    "duration": (rf"^{_NUMBER}\s*({'|'.join(_DURATIONS)})$", "30s, 400ms or 2m"),
    "rate": (rf"^{_NUMBER}\s*/\s*({'|'.join(_RATES)})$", "20/s or 30/m"),
    "percent": (rf"^{_NUMBER}\s*(%)$", "25%"),
    "size": (rf"^{_NUMBER}\s*({'|'.join(_SIZES)})$", "100B, 64KiB or 1MB"),
    "bandwidth": (rf"^{_NUMBER}\s*({'|'.join(_SIZES)})/s$", "64KB/s"),
}
_FACTORS: dict[str, dict[str, float]] = {
    "duration": _DURATIONS,
    "rate": _RATES,
    "percent": {"%": 0.01},
    "size": _SIZES,
    "bandwidth": _SIZES,
}
# What is written -> its unit and factor. One pattern reads them all: compiling five takes a file's reading longer.
_WRITTEN: dict[str, tuple[str, float]] = {
    **{name: ("duration", factor) for name, factor in _DURATIONS.items()},
    **{f"/{name}": ("rate", factor) for name, factor in _RATES.items()},
    "%": ("percent", 0.01),
    **{name: ("size", factor) for name, factor in _SIZES.items()},
    **{f"{name}/s": ("bandwidth", factor) for name, factor in _SIZES.items()},
}
_AMOUNT = re.compile(rf"{_NUMBER}\s*(/?)\s*([A-Za-z%]+(?:/s)?)")


def _unit(name: str, what: str) -> msgspec.Meta:
    pattern, example = UNITS[name]
    return msgspec.Meta(  # no `ge`: msgspec allows one along an alias, and `quantity` refuses negative values
        description=f"{what}, such as {example}",
        extra={"unit": name},
        extra_json_schema={"type": "string", "pattern": pattern},
    )


Duration = Annotated[float, _unit("duration", "a duration")]
Rate = Annotated[float, _unit("rate", "a rate")]
Percent = Annotated[float, _unit("percent", "a share")]
Size = Annotated[float, _unit("size", "a size")]
Bandwidth = Annotated[float, _unit("bandwidth", "a bandwidth")]


def unit_of(text: str) -> str:
    """The unit of what is written, such as "duration" for 30s; empty when it is no amount with a unit."""
    return _amount(text)[0]


def _amount(text: str) -> tuple[str, float]:
    """The unit and the value in base units; ("", nan) when the text is no amount with a unit."""
    found = _AMOUNT.fullmatch(text) if len(text) <= 64 else None
    unit, factor = _WRITTEN.get(found[2] + found[3], ("", 0.0)) if found else ("", 0.0)
    return (unit, float(found[1]) * factor) if found and unit else ("", math.nan)


def quantity(unit: str, text: object) -> float:
    """The value of `text` in base units. Raises ValueError with a sentence that gives an example."""
    example = UNITS[unit][1]
    if isinstance(text, int | float) and not isinstance(text, bool):
        msg = f"{text} has no unit; write a {'percentage' if unit == 'percent' else unit} such as {example}"
        raise ValueError(msg)
    written_as, value = _amount(text.strip()) if isinstance(text, str) else ("", math.nan)
    if written_as != unit:
        msg = f"{_shown(text)} is not a {unit}; write {example}"
        raise ValueError(msg)
    if value < 0 or value > 1e12:
        msg = f"{_shown(text)} is out of range"
        raise ValueError(msg)
    return round(value, 12)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


Op = Literal[">=", "<=", ">", "<", "==", "!=", "contains"]
OPS: tuple[str, ...] = get_args(Op)
Value = float | bool | str | None


class Clause(msgspec.Struct, frozen=True):
    """One expectation: a metric, a comparison and a value in base units; `text` is what the author wrote."""

    metric: str
    op: Op
    value: Value
    text: str


_CLAUSE = re.compile(r"^\s*([A-Za-z][\w.\[\]-]*)\s*(>=|<=|==|!=|>|<|contains\b)\s*(.+?)\s*$")


def clause(text: object) -> Clause:
    """Reads "p95 <= 800ms". Raises ValueError with a sentence."""
    if not isinstance(text, str) or len(text) > 500:
        msg = f"{_shown(text)} is not a clause; write one such as 'p95 <= 800ms' or 'success >= 99%'"
        raise ValueError(msg)
    found = _CLAUSE.match(text)
    if found is None:
        msg = f"{_shown(text)} is not a clause; write METRIC OP VALUE such as 'p95 <= 800ms' (ops {' '.join(OPS)})"
        raise ValueError(msg)
    op: Any = found[2]
    return Clause(metric=found[1], op=op, value=_operand(found[3]), text=" ".join(text.split()))


def _operand(text: str) -> Value:
    if unit := unit_of(text):
        return quantity(unit, text)
    words: dict[str, Value] = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    if re.fullmatch(_NUMBER, text):
        return float(text)
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def percentile(metric: str) -> float | None:
    """The share that `pNN` names: p95 -> 0.95, p99.9 -> 0.999; None for any other metric."""
    found = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,2})?)", metric)
    return float(found[1]) / 100 if found else None


def allowance(clause: Clause) -> float:
    """The share of bad events an event clause allows. Raises ValueError with a sentence for one it cannot read."""
    share = percentile(clause.metric)
    if share and clause.op in ("<=", "<"):
        return round(1 - share, 12)
    goal = clause.value
    if share is None and clause.op in (">=", ">") and isinstance(goal, float) and 0 < goal <= 1:
        return round(1 - goal, 12)
    example = f"{clause.metric} <= 800ms" if share is not None else f"{clause.metric} >= 99%"
    msg = f"'{clause.text}' cannot be counted in events; write one such as '{example}'"
    raise ValueError(msg)


def holds(clause: Clause, value: object) -> bool:
    """Whether a gauge value fulfils the clause. Raises TypeError when they cannot be compared: unknown, not no."""
    if clause.op == "contains":
        return str(clause.value) in _text(value)
    if clause.op == "==":
        return _equal(value, clause.value)
    if clause.op == "!=":
        return not _equal(value, clause.value)
    left, right = _number(value), _number(clause.value)
    return {">=": left >= right, "<=": left <= right, ">": left > right, "<": left < right}[clause.op]


def _equal(value: object, wanted: Value) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool) or value is None or wanted is None:
        return value is wanted
    if isinstance(wanted, float):
        return _number(value) == wanted
    return _text(value) == wanted


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{_shown(value)} is not a number"
        raise TypeError(msg)
    if not math.isfinite(value):
        msg = f"{value} is not a finite number"
        raise TypeError(msg)
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{_shown(value)} is not text"
        raise TypeError(msg)
    return value


def written(unit: str, value: float) -> str:
    """A value in base units as an author would write it: 0.4 s -> 400ms."""
    if unit == "percent":
        return f"{value * 100:g}%"
    factors = {"duration": ("h", "m", "s", "ms", "us"), "rate": ("s",)}.get(unit, ("MB", "KB", "B"))
    table = _FACTORS[unit]
    best = next((name for name in factors if value >= table[name] and (value / table[name]) % 1 < 1e-9), factors[-1])
    name = best if value else ("s" if unit in {"duration", "rate"} else "B")
    slash = {"rate": "/", "bandwidth": ""}.get(unit, "")
    return f"{value / table[name]:g}{slash}{name}{'/s' if unit == 'bandwidth' else ''}"
