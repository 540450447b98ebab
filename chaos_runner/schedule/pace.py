"""Whether a schedule's own past holds it back: the gap between runs, rest after a run, runs in a window, lateness."""

from __future__ import annotations

import msgspec

from chaos_runner.expect import written
from chaos_runner.schedule.reasons import Reason
from chaos_runner.schedule.slots import Slot
from chaos_runner.when import Schedule

REST_MAX_S = 31 * 86400


class Past(msgspec.Struct, frozen=True):
    """What the store knows of a schedule: its last run (times in seconds, 0 for none) and its failures in a row."""

    started: float = 0.0
    ended: float = 0.0
    failures: int = 0  # DEVIATED, ABORTED or NOT_REVERTED one after the other, the last run included
    in_window: int = 0  # runs that started in the slot's window so far


def held_back(schedule: Schedule, slot: Slot, past: Past, now: float) -> tuple[Reason, ...]:
    """Why a slot that is due may not run now, by its own pace; empty when it may."""
    if schedule.criticality < 0:
        return (Reason("never", "its criticality is negative: it never runs on its own"),)
    found = (_late(schedule, slot, now), _gap(schedule, past, now), _rest(schedule, past, now), _most(schedule, past))
    return tuple(one for one in found if one is not None)


def _late(schedule: Schedule, slot: Slot, now: float) -> Reason | None:
    late = now - slot.due
    if late <= schedule.tolerance:
        return None
    return Reason("missed", f"{_long(late)} late; at most {_long(schedule.tolerance)} are tolerated")


def _gap(schedule: Schedule, past: Past, now: float) -> Reason | None:
    since = now - past.started
    if not past.started or since >= schedule.min_gap:
        return None
    return Reason("min_gap", f"the last run began {_long(since)} ago; min_gap is {_long(schedule.min_gap)}")


def rest_s(schedule: Schedule, failures: int) -> float:
    """How long it rests after a run: twice as long after each failure in a row, at most 31 days."""
    return min(schedule.cooldown * float(1 << min(failures, 30)), REST_MAX_S)


def _rest(schedule: Schedule, past: Past, now: float) -> Reason | None:
    rest, since = rest_s(schedule, past.failures), now - past.ended
    if not past.ended or since >= rest:
        return None
    after = f" after {past.failures} failure{'' if past.failures == 1 else 's'} in a row" if past.failures else ""
    return Reason("cooldown", f"the last run ended {_long(since)} ago; it rests {_long(rest)}{after}")


def _most(schedule: Schedule, past: Past) -> Reason | None:
    if schedule.max_runs is None or past.in_window < schedule.max_runs:
        return None
    return Reason("max_runs", f"{past.in_window} ran in this window already; max_runs is {schedule.max_runs}")


def _long(seconds: float) -> str:
    return written("duration", float(round(max(0.0, seconds))))
