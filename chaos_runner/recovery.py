"""When the system is well again after the faults are gone. No IO, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chaos_runner.records import ClauseState, Sample
from chaos_runner.rule import Rule


class RecoveryWatch:
    """Judges `expect` from `start_tick` on, the first whole tick after the faults were gone."""

    def __init__(self, rules: Sequence[Rule], start_tick: int) -> None:
        raise NotImplementedError

    def observe(self, samples: Iterable[Sample]) -> None:
        """Takes samples in, late and out of order as they come."""
        raise NotImplementedError

    def recovered_at(self) -> int | None:
        """The tick in which the last clause became ok while all others were; stays once it is there."""
        raise NotImplementedError

    def state(self) -> ClauseState:
        """ok when recovered; unknown when only missing measurements stand against it; else violated."""
        raise NotImplementedError

    def missing(self) -> str:
        """What is not well yet, in a sentence; empty when recovered."""
        raise NotImplementedError
