"""A run under way as values: what a live view, a console or a page shows of it. No IO, no clock."""

from __future__ import annotations

import msgspec


class CheckShown(msgspec.Struct, frozen=True):
    """One check as it stands. `margin` is how far it is on the way to an abort, 0 to 1; None while no fault is open."""

    title: str
    word: str  # ok, violated or unknown, so far in this phase
    now: str = ""
    spark: str = ""
    margin: float | None = None


class FaultShown(msgspec.Struct, frozen=True):
    """One fault that was sent, or may have been; `left_s` until its time is over, None where nothing counts down."""

    title: str
    state: str
    left_s: float | None = None


class Running(msgspec.Struct, frozen=True):
    """A run as people see it. `now` and `left_s` (of the present wait, at most) are seconds."""

    run: str
    title: str
    environment: str = ""
    phase: str = "preparing"
    step: int = -1
    steps: int = 0
    now: float = 0.0
    left_s: float = 0.0
    checks: tuple[CheckShown, ...] = ()
    faults: tuple[FaultShown, ...] = ()

    @property
    def margin(self) -> float | None:
        """How near the nearest abort is, 0 to 1; None while no fault is open."""
        return max((one.margin for one in self.checks if one.margin is not None), default=None)
