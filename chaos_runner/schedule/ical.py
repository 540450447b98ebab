"""An iCalendar file (RFC 5545) as holidays and freezes. No IO.

Read are VEVENTs: DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, SUMMARY. Whatever is not understood makes the whole
file unreadable, and so closes the calendar: a freeze that was overlooked costs more than a run that did not happen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from chaos_runner import spelling
from chaos_runner.schedule import zones
from chaos_runner.schedule.recurrence import COUNT_MAX, Closing, Rule

CHARACTERS_MAX = 4 * 1024 * 1024
EVENTS_MAX = 20_000
WHY_MAX = 200
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PROPERTY = re.compile(
    r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^":;,]*)(?:,(?:"[^"]*"|[^":;,]*))*)*):(.*)', re.DOTALL
)
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^":;]*)')
_DURATION = re.compile(r"\+?P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?")
_KNOWN = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "WKST"}


class Property(msgspec.Struct, frozen=True):
    """One content line: its number in the file, name, parameters and value."""

    line: int
    name: str
    parameters: Mapping[str, str]
    value: str


class When(msgspec.Struct, frozen=True):
    """A date or time of the file: by which clock (empty: the calendar's own), and whether it is a whole day."""

    moment: datetime
    zone: str
    whole_day: bool


Event = dict[str, list[Property]]


def closings(text: str) -> tuple[Closing, ...]:
    """Every event. Raises ValueError naming the line that cannot be understood."""
    if len(text) > CHARACTERS_MAX:
        msg = f"{len(text)} characters are too many; at most {CHARACTERS_MAX} are read"
        raise ValueError(msg)
    found = [_closing(event) for event in _events(text) if not _cancelled(event)]
    return tuple(one for one in found if one is not None)


def _properties(text: str) -> Iterator[Property]:
    """The content lines, unfolded."""
    held, number = "", 0
    for n, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        if line[:1] in (" ", "\t") and held:
            held += line[1:]
            continue
        if held:
            yield _property(held, number)
        held, number = line.rstrip(), n
    if held:
        yield _property(held, number)


def _property(line: str, number: int) -> Property:
    found = _PROPERTY.fullmatch(line)
    if found is None:
        raise _wrong(number, f"{spelling.shown(line)} is no line of an iCalendar file")
    parameters = {one[1].upper(): one[2].strip('"') for one in _PARAMETER.finditer(found[2])}
    return Property(number, found[1].upper(), parameters, found[3])


def _events(text: str) -> Iterator[Event]:
    """The properties of each VEVENT, without those of what is inside it (alarms)."""
    open_: list[str] = []
    event, count, ended = Event(), 0, False
    for one in _properties(text):
        if ended or (not open_ and (one.name, one.value.upper()) != ("BEGIN", "VCALENDAR")):
            raise _wrong(one.line, "the file is not one VCALENDAR")
        if one.name == "BEGIN":
            open_.append(one.value.upper())
            event = Event() if open_[1:] == ["VEVENT"] else event
        elif one.name == "END":
            if open_.pop() != one.value.upper():
                raise _wrong(one.line, f"END:{spelling.shown(one.value)} does not end what began last")
            if [*open_, one.value.upper()] == ["VCALENDAR", "VEVENT"]:
                count += 1
                if count > EVENTS_MAX:
                    raise _wrong(one.line, f"more than {EVENTS_MAX} events")
                event.setdefault("END", []).append(one)
                yield event
            ended = not open_
        elif open_ == ["VCALENDAR", "VEVENT"]:
            event.setdefault(one.name, []).append(one)
    if not ended:
        msg = "the file ends in the middle" if open_ else "the file is empty"
        raise ValueError(msg)


def _cancelled(event: Event) -> bool:
    return any(one.value.upper() == "CANCELLED" for one in event.get("STATUS", ()))


def _closing(event: Event) -> Closing | None:
    begin = _one(event, "DTSTART")
    if begin is None:
        raise _wrong(event["END"][0].line, "an event without DTSTART")
    start = _when(begin, begin.value)
    end, exact = _end(event, start, begin)
    if end == start.moment:
        return None
    rule = _one(event, "RRULE")
    summary = _one(event, "SUMMARY")
    return Closing(
        start=start.moment,
        end=end,
        why=_plain(summary.value) if summary else "",
        zone=start.zone,
        exact=exact,
        rule=_rule(rule, start) if rule else None,
        extra=tuple(_listed(event, "RDATE", start)),
        without=tuple(_listed(event, "EXDATE", start)),
    )


def _one(event: Event, name: str) -> Property | None:
    found = event.get(name, [])
    if len(found) > 1:
        raise _wrong(found[1].line, f"a second {name} in one event")
    return found[0] if found else None


def _end(event: Event, start: When, begin: Property) -> tuple[datetime, bool]:
    """Where it ends by the clock it began by, and whether its length counts in seconds."""
    end, duration = _one(event, "DTEND"), _one(event, "DURATION")
    if end is not None:
        when = _when(end, end.value)
        moment = _by(when, start.zone, end)
        if moment < start.moment or when.whole_day != start.whole_day:
            raise _wrong(end.line, "DTEND does not go with DTSTART")
        return moment, False
    if duration is not None:
        length, exact = _length(duration)
        return start.moment + length, exact
    return start.moment + timedelta(days=int(start.whole_day)), False


def _by(when: When, zone: str, place: Property) -> datetime:
    """What the clocks of another zone show then."""
    if when.zone == zone:
        return when.moment
    if not zone or not when.zone:
        raise _wrong(place.line, "a time without a zone beside one with a zone")
    return zones.local(zone, zones.instant(when.zone, when.moment))


def _length(place: Property) -> tuple[timedelta, bool]:
    found = _DURATION.fullmatch(place.value)
    if found is None or not any(found.groups()):
        raise _wrong(place.line, f"{spelling.shown(place.value)} is no duration")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return length, bool(hours or minutes or seconds)


def _when(place: Property, value: str) -> When:
    """`20261225`, `20261225T100000`, `20261225T100000Z`, or with TZID."""
    zone = place.parameters.get("TZID", "").removeprefix("/")
    try:
        if re.fullmatch(r"\d{8}", value):
            day = date(int(value[:4]), int(value[4:6]), int(value[6:]))
            return When(datetime(day.year, day.month, day.day), "", True)
        if not re.fullmatch(r"\d{8}T\d{6}Z?", value):
            msg = f"{spelling.shown(value)} is no date or time"
            raise ValueError(msg)
        zone = "UTC" if value.endswith("Z") else zone
        if zone:
            zones.zone(zone)
        return When(datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S"), zone, False)
    except ValueError as why:
        raise _wrong(place.line, str(why)) from None


def _listed(event: Event, name: str, start: When) -> Iterator[datetime]:
    """The times of EXDATE or RDATE, by the clock of DTSTART."""
    for place in event.get(name, ()):
        for value in place.value.split(","):
            when = _when(place, value)
            if when.whole_day and not start.whole_day:
                raise _wrong(place.line, f"{name} names days, DTSTART a time")
            yield when.moment if when.whole_day else _by(when, start.zone, place)


def _rule(place: Property, start: When) -> Rule:
    parts = dict(part.partition("=")[::2] for part in place.value.upper().rstrip(";").split(";"))
    try:
        if unknown := sorted(set(parts) - _KNOWN):
            msg = f"{unknown[0]} is not understood here"
            raise ValueError(msg)
        return _made(parts, place, start)
    except ValueError as why:
        raise _wrong(place.line, f"RRULE: {why}") from None


def _made(parts: Mapping[str, str], place: Property, start: When) -> Rule:
    frequency: Any = parts.get("FREQ", "")
    if frequency not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        msg = f"FREQ={frequency or '?'} is not understood here"
        raise ValueError(msg)
    weekdays = tuple(_weekday(part) for part in _parts(parts, "BYDAY"))
    if any(nth for nth, _day in weekdays) and frequency in ("DAILY", "WEEKLY"):
        msg = "BYDAY with a number is understood in a month only"
        raise ValueError(msg)
    if frequency == "YEARLY" and "BYMONTH" not in parts and {"BYDAY", "BYMONTHDAY"} & set(parts):
        msg = "FREQ=YEARLY with BYDAY or BYMONTHDAY is understood with BYMONTH only"
        raise ValueError(msg)
    if parts.get("WKST", "MO") != "MO" and frequency == "WEEKLY" and parts.get("INTERVAL", "1") != "1":
        msg = "weeks that do not begin on Monday are not understood here"
        raise ValueError(msg)
    return Rule(
        frequency=frequency,
        interval=_number(parts.get("INTERVAL", "1"), 1, 1000),
        count=_number(parts.get("COUNT", "0"), 0, COUNT_MAX),
        until=_until(parts["UNTIL"], place, start) if "UNTIL" in parts else None,
        months=tuple(_number(part, 1, 12) for part in _parts(parts, "BYMONTH")),
        month_days=tuple(_number(part, -31, 31) for part in _parts(parts, "BYMONTHDAY")),
        weekdays=weekdays,
    )


def _parts(parts: Mapping[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,5}", text) or not least <= int(text) <= most:
        msg = f"{spelling.shown(text)} is no number from {least} to {most}"
        raise ValueError(msg)
    return int(text)


def _weekday(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)", text)
    if found is None:
        msg = f"BYDAY={spelling.shown(text)} is not understood here"
        raise ValueError(msg)
    return int(found[1] or 0), _WEEKDAYS.index(found[2])


def _until(text: str, place: Property, start: When) -> datetime:
    when = _when(msgspec.structs.replace(place, parameters={"TZID": start.zone}), text)
    if when.whole_day:
        return when.moment + timedelta(days=1, microseconds=-1)
    return (
        _by(when, start.zone, place) if start.zone else when.moment + timedelta(days=1)
    )  # rather closed once too often


def _plain(text: str) -> str:
    """A TEXT value without its escapes, on one line."""
    plain = re.sub(r"\\([nN\\;,])", lambda found: " " if found[1] in "nN" else found[1], text)
    return " ".join(plain.split())[:WHY_MAX]


def _wrong(line: int, message: str) -> ValueError:
    return ValueError(f"line {line}: {message}")
