"""Load measurements as samples: clauses for whoever measures, its ticks back. No IO."""

from __future__ import annotations

import re

from chaos_runner import expect, wire
from chaos_runner.api import Metric, Refused
from chaos_runner.expect import Clause
from chaos_runner.records import ClauseCount, Sample

EVENTS = (
    Metric("success", "event", "percent", "the share of answers that count as a success"),
    Metric("pNN", "event", "duration", "a percentile of the time to answer, such as p95; no answer is slower than any"),
)
_STATUS = re.compile(r"(\d)xx|(\d{3})(?:-(\d{3}))?")


def clauses(asked: tuple[Clause, ...]) -> tuple[wire.LoadClause, ...]:
    """What each clause counts. Raises Refused for one that counting events cannot decide."""
    return tuple(_clause(clause) for clause in asked)


def _clause(clause: Clause) -> wire.LoadClause:
    if clause.metric == "success" and clause.op in {">=", ">"}:
        return wire.LoadClause("success")
    is_limit = expect.percentile(clause.metric) is not None and clause.op in {"<=", "<"}
    if is_limit and isinstance(clause.value, float) and not isinstance(clause.value, bool):
        return wire.LoadClause("slower", clause.value)
    raise Refused(f"'{clause.text}' does not fit a load; write `success >= 99%` or `p95 <= 1s`")


def sample(tick: wire.Tick) -> Sample:
    """A tick, or the part of it that became final, as the sample that is kept."""
    counts = zip(tick.clauses, tick.counts, strict=True)
    errors = ", ".join(f"{name} {count}" for name, count in sorted(tick.errors.items()))
    return Sample(
        check=tick.check,
        tick=tick.n,
        counts=tuple(ClauseCount(clause, *count) for clause, count in counts),
        histogram=tick.histogram,
        exemplars=tick.exemplars,
        scheduled=tick.scheduled,
        errors=sum(tick.errors.values()),
        stall_s=tick.stall_s,
        why=errors,
    )


def lost(check: str, n: int, missing: tuple[int, ...], scheduled: int, why: str) -> Sample:
    """What nobody measured of a tick: these clauses unknown."""
    counts = tuple(ClauseCount(clause, 0, 0, max(scheduled, 1)) for clause in missing)
    return Sample(check=check, tick=n, counts=counts, scheduled=scheduled, why=why)


def statuses(texts: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Reads `200`, `200-299` and `2xx`. Raises ValueError in a sentence."""
    return tuple(_status(text) for text in texts)


def _status(text: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no status; write 200, 200-299 or 2xx")
    if found[1]:
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    return int(found[2]), int(found[3] or found[2])
