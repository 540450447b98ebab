"""The finding: each clause judged over the fault windows. No IO, no clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chaos_runner.records import ClauseJudged, Finding, Sample
from chaos_runner.rule import Rule


def judged(
    rules: Sequence[Rule], samples: Sequence[Sample], windows: Sequence[Collection[int]]
) -> tuple[ClauseJudged, ...]:
    """Every clause that decides while a fault is open, judged over the ticks from confirm to revert of each step."""
    raise NotImplementedError


def finding(clauses: Sequence[ClauseJudged]) -> Finding:
    """The worst of the clauses; nothing judged is UNKNOWN."""
    raise NotImplementedError
