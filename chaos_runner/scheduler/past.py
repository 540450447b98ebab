"""What the store knows of the runs of schedules, as their pace wants it. Reads only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from chaos_runner.schedule import pace
from chaos_runner.store import SlotRow, Store

RUNS_MAX = 100  # of one schedule, beside those that a window may have
CROWD, CROWD_RUNS_MAX = 50, 100_000  # from so many on all are asked for in one question


def runs(store: Store, schedules: Sequence[str], most: int = 0) -> dict[str, list[SlotRow]]:
    """The runs of these schedules, newest first; so many that `most` in one window can be told. Raises StoreError."""
    if len(schedules) <= CROWD:
        return {name: store.slots(name, "RUN", RUNS_MAX + most, readings=False) for name in schedules}
    found: dict[str, list[SlotRow]] = {}
    for row in store.slots(None, "RUN", CROWD_RUNS_MAX, readings=False):
        found.setdefault(row.schedule, []).append(row)
    return found


def of(rows: Sequence[SlotRow], since: float) -> pace.Past:
    """What the runs of one schedule come to; those that never began count for nothing."""
    begun = [row for row in rows if row.state not in {"LOST", "REFUSED"}]
    if not begun:
        return pace.Past()
    ended = (row for row in begun if row.headline and not row.halted)
    failures = itertools.takewhile(lambda row: row.failed, ended)
    return pace.Past(
        started=begun[0].decided_at,
        ended=begun[0].ended_at or 0.0,
        failures=sum(1 for _ in failures),
        in_window=sum(row.decided_at >= since for row in begun),
    )
