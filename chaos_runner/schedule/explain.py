"""Why a schedule would run at a moment, or why not: each rule with what it says. Pure."""

from __future__ import annotations

import msgspec

from chaos_runner.schedule import calendar, cron, every, preview, slots, zones
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.schedule.pace import Past, held_back
from chaos_runner.schedule.slots import Slot, Terms
from chaos_runner.when import Schedule


class Told(msgspec.Struct, frozen=True):
    """One rule: whether it says yes, and its sentence."""

    code: str
    ok: bool
    said: str


def explain(schedule: Schedule, almanac: Almanac, at: int, terms: Terms, past: Past | None = None) -> tuple[Told, ...]:
    """Every rule of time about a start within this minute; it would run when all say yes."""
    slot = _slot(schedule, almanac, at, terms)
    moment = slot.due if slot else at
    rules = [_due(schedule, almanac, at, terms, slot), _hours(almanac, moment)]
    refused = slot.refused if slot else slots.forbidden(almanac, moment, terms.worst_case_s)
    rules += [Told(one.code, False, one.said) for one in refused if one.code != "outside_hours"]
    if not refused:
        until = zones.local(almanac.zone, moment + int(terms.worst_case_s))
        rules.append(Told("fits", True, f"a run that takes {terms.worst_case_s:g} s is over at {until:%H:%M:%S}"))
    if slot is not None and past is not None:
        rules += [Told(one.code, False, one.said) for one in held_back(schedule, slot, past, float(moment))]
    elif schedule.criticality < 0:
        rules.append(Told("never", False, "its criticality is negative: it never runs on its own"))
    return tuple(rules)


def _slot(schedule: Schedule, almanac: Almanac, at: int, terms: Terms) -> Slot | None:
    """The slot that is due within the minute."""
    first = at - at % 60
    return next(slots.due(schedule, almanac, first - 1, first + 59, terms), None)


def _due(schedule: Schedule, almanac: Almanac, at: int, terms: Terms, slot: Slot | None) -> Told:
    if slot is not None:
        return Told(
            "due", True, f"it is due at {preview.shown(slot.due, almanac.zone)}{_because(schedule, slot, almanac)}"
        )
    why = _not_due(schedule, almanac, at, terms)
    following = slots.next_due(schedule, almanac, at, terms)
    then = f"the next one is {preview.shown(following.due, almanac.zone)}" if following else "nor within 400 days"
    return Told("due", False, f"{why}; {then}")


def _because(schedule: Schedule, slot: Slot, almanac: Almanac) -> str:
    if schedule.every is not None:
        return f": the coin of {slot.window.day} shows heads, and this minute was drawn"
    if slot.due != slot.instant:
        named = zones.local(almanac.zone, slot.instant)
        return f": {schedule.cron} at {named:%H:%M:%S}, and {slot.due - slot.instant} s of jitter"
    return f": {schedule.cron}"


def _not_due(schedule: Schedule, almanac: Almanac, at: int, terms: Terms) -> str:
    if schedule.cron is not None:
        first = at - at % 60
        named = next(cron.instants(schedule.cron.text, almanac.zone, first - 1, first + 59), None)
        if named is None:
            return f"'{schedule.cron}' does not come up then"
        return "its line comes up then, but " + (
            "jitter moves it" if schedule.jitter else "outside the calendar's hours"
        )
    window = calendar.window(almanac, at)
    if window is None or schedule.every is None:
        return "that is no workday's hour"
    if not every.heads(schedule.every, window.day, terms.group, terms.secret):
        return f"the coin of {window.day} shows tails for {terms.group}"
    return f"the coin of {window.day} shows heads for {terms.group}, but another minute was drawn"


def _hours(almanac: Almanac, at: int) -> Told:
    local = zones.local(almanac.zone, at)
    open_ = calendar.window(almanac, at) is not None
    days = preview.days(almanac.days)
    said = f"{local:%A %H:%M} in {almanac.zone} is {'within' if open_ else 'outside'} {days} {almanac.hours}"
    return Told("hours", open_, f"{said} ({almanac.name})")
