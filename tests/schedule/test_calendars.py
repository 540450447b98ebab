"""What is written about days, hours and freezes; what a file of them says; and that what cannot be read is closed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from chaos_runner import configure, timetable
from chaos_runner.load import Invalid
from chaos_runner.schedule import calendar, ical, slots, written, zones
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.when import Hours
from tests.schedule import kit

WRAP = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n"
EXPERIMENT = """\
kind: experiment/v1
name: slow
hypothesis: Nothing changes.
service: shop
steady_state: {shoppers: {probe: http, with: {service: shop, rate: 20/s}, expect: [success >= 99%]}}
blast_radius: {at_once: 1, in_total: 1}
baseline: 30s
method:
  - {fault: toxic, target: {proxy: redis}, with: {type: latency, latency: 100ms}, for: 30s}
"""
CONFIG = """\
kind: config/v1
environments: {staging: {}}
calendars:
  work: {days: mon-fri, between: "10:00-15:00", timezone: Europe/Berlin, except: [EXCEPT]}
schedules:
SCHEDULES
"""
ONE = "  - {experiment: x.yaml, environment: staging, calendar: work, cron: 0 11 * * *}"


def event(*lines: str) -> str:
    return WRAP.format("".join(f"{line}\r\n" for line in ("BEGIN:VEVENT", *lines, "END:VEVENT")))


def closed(text: str, year: int = 2026, zone: str = "America/New_York") -> list[str]:
    almanac = Almanac("c", (0, 1, 2, 3, 4), Hours(start=600, end=900), zone, ical.closings(text))
    start = zones.instant(zone, datetime(year, 1, 1))
    found = calendar.closures(almanac, start, zones.instant(zone, datetime(year + 1, 1, 1)))
    return [f"{zones.local(zone, one.start):%m-%dT%H:%M}/{zones.local(zone, one.end):%m-%dT%H:%M}" for one in found]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART;VALUE=DATE:20261225"], ["12-25T00:00/12-26T00:00"]),
        (["DTSTART;VALUE=DATE:20251224", "DURATION:P3D", "RRULE:FREQ=YEARLY"], ["12-24T00:00/12-27T00:00"]),
        (["DTSTART;VALUE=DATE:20201126", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"], ["11-26T00:00/11-27T00:00"]),
        (["DTSTART;VALUE=DATE:20200525", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO"], ["05-25T00:00/05-26T00:00"]),
        (["DTSTART:20260310T170000Z", "DURATION:PT2H"], ["03-10T13:00/03-10T15:00"]),
        (["DTSTART;TZID=Europe/Berlin:20260310T180000", "DTEND:20260310T180000Z"], ["03-10T13:00/03-10T14:00"]),
        (["DTSTART:20260310T100000", "DTEND:20260310T120000"], ["03-10T10:00/03-10T12:00"]),
        (
            ["DTSTART:20260105T100000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE:20260112T100000"],
            ["01-05T10:00/01-05T11:00", "01-19T10:00/01-19T11:00"],
        ),
        (
            ["DTSTART;VALUE=DATE:20260131", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20260331"],
            ["01-31T00:00/02-01T00:00", "02-28T00:00/03-01T00:00", "03-31T00:00/04-01T00:00"],
        ),
        (
            ["DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=2"],
            ["01-01T00:00/01-02T00:00", "01-03T00:00/01-04T00:00"],
        ),
        (["DTSTART;VALUE=DATE:20260601", "STATUS:CANCELLED"], []),
        # Six hours over the night in which the clocks go forward: they end at 05:00, not at 04:00.
        (["DTSTART:20260307T220000", "DURATION:PT6H"], ["03-07T22:00/03-08T05:00"]),
    ],
)  # fmt: skip
def test_an_event_closes_what_it_says(lines: list[str], expected: list[str]) -> None:
    assert closed(event(*lines)) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("<html>busy</html>", "line 1: .* is no line"),
        (event("DTSTART;VALUE=DATE:20261225").replace("END:VCALENDAR\r\n", ""), "ends in the middle"),
        (event("SUMMARY:x"), "line 5: an event without DTSTART"),
        (event("DTSTART;VALUE=DATE:20261325"), "line 4: month must be"),
        (event("DTSTART;TZID=Middle Earth:20261225T100000"), "line 4: unknown time zone 'Middle Earth'"),
        (event("DTSTART:20261225T100000", "DTEND:20261225T090000"), "line 5: DTEND does not go"),
        (event("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY;BYWEEKNO=20"), "line 5: RRULE: BYWEEKNO is not"),
        (event("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=HOURLY"), "line 5: RRULE: FREQ=HOURLY is not"),
        (event("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY;BYDAY=MO"), "with BYMONTH only"),
        (event("DTSTART;VALUE=DATE:20261225", "DURATION:1 day"), "line 5: '1 day' is no duration"),
        (event("DTSTART;VALUE=DATE:20261225", "END:VALARM"), "line 5: END:'VALARM' does not end"),
        (event("DTSTART:20261225") + event("DTSTART:20261225"), "line 7: the file is not one VCALENDAR"),
    ],
)
def test_what_is_not_understood_makes_the_file_unreadable(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ical.closings(text)


def test_long_lines_are_unfolded_and_alarms_are_no_events() -> None:
    (one,) = ical.closings(
        event(
            "DTSTART;VALUE=DATE:20261225",
            "SUMMARY:Christ\r\n mas\\, at last",
            "BEGIN:VALARM",
            "TRIGGER:-PT5M",
            "END:VALARM",
        )
    )

    assert one.why == "Christmas, at last"


def folder_of(path: Path, exceptions: str = "", schedules: str = ONE) -> Path:
    (path / "x.yaml").write_text(EXPERIMENT)
    (path / "chaos-runner.yaml").write_text(CONFIG.replace("EXCEPT", exceptions).replace("SCHEDULES", schedules))
    return path / "chaos-runner.yaml"


def next_week(path: Path) -> list[slots.Slot]:
    table = timetable.read(configure.read(path))
    (schedule,) = table.schedules.values()
    start = zones.count(datetime(2026, 12, 21))
    return list(slots.due(schedule, table.almanac(schedule), start, start + 7 * 86400, table.terms(schedule, b"k")))


def test_days_in_a_file_close_their_calendar(tmp_path: Path) -> None:
    (tmp_path / "days.yaml").write_text("kind: closed/v1\nclosed: [2026-12-24..2026-12-26 Christmas]\n")
    made = next_week(folder_of(tmp_path, "file:days.yaml, 2026-12-21"))

    assert [bool(one.refused) for one in made] == [True, False, False, True, True]
    assert made[3].refused[0].said == "closed by work: Christmas"


@pytest.mark.parametrize("name", ["gone.ics", "gone.yaml", "torn.ics", "torn.yaml", "folder.ics"])
def test_a_file_that_cannot_be_read_closes_its_calendar_for_good(tmp_path: Path, name: str) -> None:
    (tmp_path / "torn.ics").write_text(event("DTSTART;VALUE=DATE:20261225")[:-30])
    (tmp_path / "torn.yaml").write_text("kind: closed/v1\nclosed: [tomorrow]\n")
    (tmp_path / "folder.ics").mkdir()
    made = next_week(folder_of(tmp_path, f"file:{name}"))

    assert len(made) == 5
    assert {one.refused[0].code for one in made} == {"calendar_unreadable"}
    assert name in made[0].refused[0].said


def test_a_run_that_would_not_be_over_in_time_is_refused() -> None:
    case = kit.one("58 14 * * *", "UTC", (600, 900), worst_s=121.0)
    made = kit.year_of(case)
    fits = kit.year_of(case._replace(terms=slots.Terms("staging/shop", b"k", 120.0)))

    assert {one.refused[0].code for one in made} == {"does_not_fit"}
    assert {one.refused for one in fits} == {()}


@pytest.mark.parametrize(
    ("text", "numbers"), [("mon-fri", (0, 1, 2, 3, 4)), ("Sat,sun", (5, 6)), ("fri-mon", (0, 4, 5, 6)), ("wed", (2,))]
)
def test_days_are_read_as_written(text: str, numbers: tuple[int, ...]) -> None:
    assert written.days(text).numbers == numbers


def test_all_problems_of_a_configuration_come_at_once_with_what_was_meant(tmp_path: Path) -> None:
    wrong = """\
  - {experiment: x.yaml, environment: stagin, calendar: werk, cron: 0 11 * * *}
  - {experiment: x.yaml, environment: staging, calendar: work, every: 2 days}
  - {experiment: x.yaml, environment: staging, calendar: work}
  - {experiment: x.yaml, environment: staging, calendar: work, cron: 61 11 * * *, evry: 2 workdays}"""
    with pytest.raises(Invalid) as caught:
        configure.read(folder_of(tmp_path, "2026-02-30", wrong))
    said = [one.message for one in caught.value.problems]

    assert any("there is no 2026-02-30" in one for one in said)
    assert any("'2 days' is no mean" in one for one in said)
    assert any(one.startswith("say when:") for one in said)
    assert any("unknown key 'evry'; did you mean 'every'?" in one for one in said)
    assert any("'61 11 * * *' is no cron line: bad minute" in one for one in said)
    assert all(one.line for one in caught.value.problems)


def test_names_that_are_not_there_are_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        configure.read(folder_of(tmp_path, "", ONE.replace("staging", "stagin").replace("work,", "werk,")))

    assert [(one.line, one.message) for one in caught.value.problems] == [
        (6, "unknown environment 'stagin'; did you mean 'staging'?"),
        (6, "unknown calendar 'werk'; did you mean 'work'?"),
    ]


def test_schedules_of_a_folder_are_in_force_and_their_mistakes_have_a_place(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    line = "- {name: NAME, experiment: x.yaml, environment: staging, calendar: work, every: 2 workdays}\n"
    for n in range(3):
        (tmp_path / "more" / f"{n}.yaml").write_text("kind: schedules/v1\nschedules:\n" + line.replace("NAME", f"s{n}"))
    path = folder_of(tmp_path, "", f"{ONE}\n  - file:more")

    assert list(timetable.read(configure.read(path)).schedules) == ["x-staging", "s0", "s1", "s2"]
    (tmp_path / "more" / "3.yaml").write_text("kind: schedules/v1\nschedules:\n" + line.replace("NAME", "s1"))
    with pytest.raises(Invalid, match=r"3\.yaml:3:3: .*another schedule is named 's1' too"):
        timetable.read(configure.read(path))
