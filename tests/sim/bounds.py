"""I4: how long a fault may be there, for who died when. Exact where nothing kept the undoers from their work."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from chaos_runner.lifecycle import WATCH_S
from tests.sim.process import Proc
from tests.sim.watcher import Live

DEAD_S = 1.5  # promised: 1 s, plus what the undo's requests take
SILENT_S = 6.5  # promised: 6 s
LEASE_S = 6.5  # promised: 6 s
HOLD_S = 3.5  # a tick to see it, ticks that count as whole ones, and the undo
RECOVERY_S = 22.0  # it waits for a guardian at work for at most 20 s


class Crew(msgspec.Struct):
    """Who looks after the faults of one run."""

    runner: Proc
    guardian: Proc | None
    hold_s: float
    leased: bool


def away_from(proc: Proc | None, t: float) -> float:
    """From when on, after `t`, it does nothing any more; t where it did nothing then."""
    if proc is None:
        return t
    gone = [begin for begin, end in proc.away if end > t]
    return max(t, min([*gone, proc.dead_t, proc.ended_t]))


def back(proc: Proc | None, t: float) -> float:
    """When, at `t` or later, it works (again); infinite for never."""
    if proc is None or min(proc.dead_t, proc.ended_t) <= t:
        return math.inf
    return max([t, *(end for begin, end in proc.away if begin <= t < end)])


def allowed(live: Live, crew: Crew, recoveries: Iterable[Proc], trouble: list[tuple[float, float]]) -> float:
    """The time by which it has to be gone."""
    end = min(promises(live, crew, recoveries))
    if live.late:
        end += WATCH_S
    for _ in range(3):  # what comes in the time that trouble adds counts as well
        extra = sum(cost for t, cost in trouble if live.begin - 30.0 <= t <= end)
        end = min(promises(live, crew, recoveries)) + (WATCH_S if live.late else 0.0) + extra
    return end


def promises(live: Live, crew: Crew, recoveries: Iterable[Proc]) -> list[float]:
    """What each who may have to undo it has promised."""
    runner, guardian, begin = crew.runner, crew.guardian, live.begin
    lost = away_from(runner, begin)
    found = [begin + crew.hold_s + HOLD_S] if lost > begin + crew.hold_s + HOLD_S else []
    if guardian is not None and away_from(guardian, begin) < lost:  # the runner sees it and stops
        gone = away_from(guardian, begin)
        if guardian.dead_t <= gone and lost > gone + HOLD_S:
            found.append(gone + HOLD_S)
    if lost < math.inf:
        found += _rescues(runner, guardian, lost, crew.hold_s)
    if crew.leased:
        found.append(max(lost, away_from(guardian, begin)) + LEASE_S)
    for proc in recoveries:
        if proc.began_t >= lost and away_from(proc, proc.began_t) > proc.began_t + RECOVERY_S:
            found.append(proc.began_t + RECOVERY_S)
    return found or [math.inf]


def _rescues(runner: Proc, guardian: Proc | None, lost: float, hold_s: float) -> list[float]:
    """Who goes on when the runner has stopped doing anything at `lost`: its guardian, or itself after a short stop."""
    goes_on = back(runner, lost)
    died = min(runner.dead_t, runner.ended_t)
    if died > lost and goes_on < min(died, lost + SILENT_S):
        return [goes_on + hold_s + HOLD_S] if away_from(runner, goes_on) > goes_on + hold_s + HOLD_S else []
    promise = DEAD_S if died <= lost else SILENT_S
    works = back(guardian, lost)
    if works < math.inf and away_from(guardian, works) > works + promise:
        return [works + promise]
    return []
