"""When to stop early: violated criteria, a spent error budget, blindness. No IO, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from chaos_runner.model import ErrorBudget
from chaos_runner.records import Sample
from chaos_runner.rule import Rule


class Tripped(msgspec.Struct, frozen=True):
    """The first reason to stop; `tick` is the tick whose counts decided."""

    stopped_by: Literal["criterion", "blind"]
    why: str
    check: str
    clause: str
    tick: int


class AbortWatch:
    """Watches one fault window. Feed it every sample as it comes; samples before `start_tick` are left out."""

    def __init__(
        self, rules: Sequence[Rule], start_tick: int, *, budget: ErrorBudget | None = None, fault_open: bool = True
    ) -> None:
        raise NotImplementedError

    def restart(self, start_tick: int) -> None:
        """Begins anew at the next injection; what was spent of the error budget stays spent."""
        raise NotImplementedError

    def observe(self, samples: Iterable[Sample]) -> None:
        """Takes samples in, late and out of order as they come."""
        raise NotImplementedError

    def tripped(self, now_tick: int) -> Tripped | None:
        """The first reason to stop, or None; `now_tick` is the tick that is under way. Stays once it is there."""
        raise NotImplementedError

    def margin(self) -> dict[str, float]:
        """How far each check is on the way to an abort, from 0 to 1."""
        raise NotImplementedError
