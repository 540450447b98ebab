"""Whether a run may start: the baseline judged by the rules that will judge the fault. No IO, no clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from chaos_runner.model import ErrorBudget
from chaos_runner.records import Sample
from chaos_runner.rule import Rule


class Opened(msgspec.Struct, frozen=True):
    """The steady state is steady. `clauses` fits records.BaselineHeld."""

    clauses: tuple[tuple[str, str, int, int, int], ...]


class Closed(msgspec.Struct, frozen=True):
    """Nothing may be injected; `why` is a sentence that names what would work."""

    why: str


def gate(
    rules: Sequence[Rule], samples: Sequence[Sample], baseline: Collection[int], budget: ErrorBudget | None = None
) -> Opened | Closed:
    """Opened only when every clause of `expect` was measured and ok over the baseline's ticks."""
    raise NotImplementedError
