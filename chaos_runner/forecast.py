"""What a plan can say before anything is measured: enough events, rules that cannot fire. No IO, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from chaos_runner.model import Experiment
from chaos_runner.plan import ClauseForecast
from chaos_runner.rule import Rule


def forecasts(rules: Sequence[Rule]) -> tuple[ClauseForecast, ...]:
    """Events per deciding clause in the shortest fault window, and how many its verdict needs."""
    raise NotImplementedError


def refusals(rules: Sequence[Rule], experiment: Experiment) -> tuple[str, ...]:
    """Sentences: which clause gets too few events for any verdict, and what would be enough."""
    raise NotImplementedError


def warnings(rules: Sequence[Rule], experiment: Experiment) -> tuple[str, ...]:
    """Sentences: which abort rules cannot fire, and which recovery cannot be seen in time."""
    raise NotImplementedError
