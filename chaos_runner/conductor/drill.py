"""The abort drill's end: how long the lever took, from the records, and the lever released again. Disk only.

Only a lever that was pulled at the desk during the drill is released; one that was there before, or that somebody
pulled in another way, stays: it may be meant in earnest.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from chaos_runner import desk
from chaos_runner.conductor.course import RunSeen
from chaos_runner.conductor.told import Told
from chaos_runner.gameday.facts import DrillEnded
from chaos_runner.records import AbortTripped, Entry, FaultInjected, FaultReverted
from chaos_runner.store import Store, StoreError, levers
from chaos_runner.store.levers import Lever

LATER_S = 1.0  # the lever's own time is a moment before that of the fact which tells of it


class Times(msgspec.Struct, frozen=True):
    """The drill's run by its records, as Unix times; None for what did not happen."""

    injected: float | None = None
    decided: float | None = None
    by_lever: bool = False
    gone: float | None = None


def times(entries: list[Entry]) -> Times:
    """What the records say."""
    found = Times()
    for entry in entries:
        start = entry.at - entry.t
        match entry.record:
            case FaultInjected():
                found = msgspec.structs.replace(found, injected=entry.at)
            case AbortTripped(stopped_by, _why, decided_t):
                found = msgspec.structs.replace(found, decided=start + decided_t, by_lever=stopped_by == "lever")
            case FaultReverted(_fault, gone_t):
                found = msgspec.structs.replace(found, gone=start + gone_t)
            case _:
                pass
    return found


def judge(run: str, told: Told, seen: RunSeen, measured: Times, pulled_at: float | None = None) -> DrillEnded:
    """What the drill came to; the lever's own time, where it is known, is the pull."""
    pull = told.drill_pull
    if seen.state == "never":
        return DrillEnded(run="", who="", why=seen.why or "its conductor died before the drill was started")
    if pull is None and measured.by_lever:
        return DrillEnded(run=run, who="", why="the lever was pulled elsewhere than at the desk; it stays pulled")
    if pull is None or not measured.by_lever or measured.gone is None:
        why = f"nobody's lever stopped it: it ended {seen.headline}" + (f": {seen.why}" if seen.why else "")
        return DrillEnded(run=run, who=pull.who if pull else "", why=why)
    since = pull.asked_at if pulled_at is None else pulled_at
    return DrillEnded(run=run, who=pull.who, halt_s=round(measured.gone - since, 3))


def own(told: Told, state_dir: Path) -> Lever | None:
    """The drill's own lever, while it is pulled."""
    pull = told.drill_pull
    found = None if pull is None else next((one for one in levers.all(state_dir) if one.scope == pull.scope), None)
    if pull is None or found is None or found.garbled or not found.reason.startswith(desk.reason(told.day.id)):
        return None
    return found if told.drill_began_at <= found.at <= pull.asked_at + LATER_S else None


def release(told: Told, state_dir: Path, lever: Lever | None) -> str:
    """Releases the drill's own lever; why one stays, or nothing."""
    if told.day.incident is not None:
        return ""
    if lever is None:
        scope = told.drill_pull.scope if told.drill_pull else ""
        stays = any(one.scope == scope for one in levers.all(state_dir))
        return f"the lever {scope} stays: it was not pulled for the drill" if stays else ""
    try:
        levers.release(state_dir, lever.scope, f"game day {told.day.id}", "end of the abort drill")
    except StoreError as why:
        return str(why)
    return ""


def end(run: str, told: Told, seen: RunSeen, ledger: Store, state_dir: Path) -> DrillEnded:
    """The lever is released first; then this is what to write down."""
    try:
        measured = times(ledger.records(run)) if seen.state == "over" else Times()
    except StoreError as why:
        measured, seen = Times(), msgspec.structs.replace(seen, why=str(why))
    lever = own(told, state_dir)
    ended = judge(run, told, seen, measured, lever.at if lever else None)
    stays = release(told, state_dir, lever)
    return msgspec.structs.replace(ended, why="; ".join(part for part in (ended.why, stays) if part))
