"""One figure of a game day, with the stamps that it was made from. No IO."""

from __future__ import annotations

from typing import Literal

import msgspec

from chaos_runner.gameday.stamps import Stamp

State = Literal["met", "missed", "measured", "contradictory", "not recorded"]
Unit = Literal["s", "share", "score", "requests"]


class Metric(msgspec.Struct, frozen=True):
    """One figure; `measured` has no target. `doubts` are sentences about stamps that contradict each other."""

    key: str
    title: str
    value: float | None = None
    unit: Unit = "s"
    start: Stamp | None = None
    end: Stamp | None = None
    target: float | None = None
    state: State = "not recorded"
    why: str = ""
    doubts: tuple[str, ...] = ()
