"""What comes: slots as rows of a table, or as a month. Pure text, in any zone."""

from __future__ import annotations

import calendar as gregorian
from collections.abc import Sequence
from datetime import date

from chaos_runner.schedule import zones
from chaos_runner.schedule.slots import Slot
from chaos_runner.schedule.written import DAYS

CELL = 11


def shown(at: int, zone: str) -> str:
    """A moment by the clocks of a zone, with how far they are ahead of UTC."""
    ahead = zones.offset(zone, at) // 60
    sign, hours, minutes = "-" if ahead < 0 else "+", abs(ahead) // 60, abs(ahead) % 60
    return f"{zones.local(zone, at):%a %Y-%m-%d %H:%M:%S}{sign}{hours:02}:{minutes:02}"


def days(numbers: Sequence[int]) -> str:
    """Days of the week as an author writes them."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ",".join(DAYS[span[0]] + (f"-{DAYS[span[-1]]}" if len(span) > 1 else "") for span in spans)


def rows(slots: Sequence[Slot], zone: str) -> list[tuple[str, ...]]:
    """The table: when, which, and why not."""
    head = ("due", "schedule", "would be")
    return [head, *((shown(one.due, zone), one.schedule, outcome(one)) for one in slots)]


def outcome(slot: Slot) -> str:
    """What time alone says of it; gates are asked when it is due."""
    return "skipped: " + "; ".join(reason.said for reason in slot.refused) if slot.refused else "run"


def month(slots: Sequence[Slot], zone: str, year: int, number: int) -> list[str]:
    """The month as weeks of days: the first time of each day, how many more, and x for what would be skipped."""
    by_day: dict[date, list[Slot]] = {}
    for one in slots:
        by_day.setdefault(zones.local(zone, one.due).date(), []).append(one)
    lines = [f"{gregorian.month_name[number]} {year}, {zone}", "".join(day.capitalize().ljust(CELL) for day in DAYS)]
    for week in gregorian.Calendar().monthdatescalendar(year, number):
        cells = (_cell(day, by_day.get(day, []), zone) if day.month == number else "" for day in week)
        lines.append("".join(cell.ljust(CELL) for cell in cells))
    return [line.rstrip() for line in lines]


def _cell(day: date, due: list[Slot], zone: str) -> str:
    runs = [one for one in due if not one.refused]
    if runs:
        more = f"+{min(len(runs) - 1, 99)}" if len(runs) > 1 else ""
        return f"{day.day:2} {zones.local(zone, runs[0].due):%H:%M}{more}"
    return f"{day.day:2} x" if due else f"{day.day:2}"
