"""Cron lines as Debian's cron has them, above all where APScheduler's CronTrigger is wrong (measured, version 3.11)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from cronsim import CronSim

from chaos_runner.schedule import cron, zones


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def local(line: str, zone: str, first: str, last: str) -> list[str]:
    """What clocks show when the line comes up between two local midnights."""
    found = cron.instants(line, zone, seconds(first) - 86400, seconds(last) + 86400)
    shown = [f"{zones.local(zone, at):%Y-%m-%dT%H:%M}" for at in found]
    return [one for one in shown if first <= one < last]


def test_midnight_comes_up_on_the_day_after_the_clocks_go_forward() -> None:
    found = local("0 0 * * *", "US/Pacific", "2026-03-07", "2026-03-12")

    assert found == [f"2026-03-{day:02}T00:00" for day in (7, 8, 9, 10, 11)]  # APScheduler leaves out the 9th


def test_half_past_two_comes_up_once_when_it_is_shown_twice() -> None:
    assert local("30 2 * * *", "Europe/Berlin", "2026-10-25", "2026-10-26") == ["2026-10-25T02:30"]
    (at,) = cron.instants("30 2 * * *", "Europe/Berlin", seconds("2026-10-24T12:00"), seconds("2026-10-25T12:00"))
    assert at == seconds("2026-10-25T00:30")  # the first time


def test_half_past_two_comes_up_at_three_when_it_is_never_shown() -> None:
    assert local("30 2 * * *", "Europe/Berlin", "2026-03-29", "2026-03-30") == ["2026-03-29T03:00"]
    assert local("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", "2026-03-30") == [
        "2026-03-29T03:00",
        "2026-03-29T03:30",
    ]


def test_monday_to_friday_is_monday_to_friday() -> None:
    for line in ("0 9 * * 1-5", "0 9 * * mon-fri"):
        days = [datetime.fromisoformat(one).isoweekday() for one in local(line, "UTC", "2026-11-01", "2026-12-01")]
        assert set(days) == {1, 2, 3, 4, 5}
        assert len(days) == 21


def test_the_seventh_day_is_sunday() -> None:
    assert local("0 9 * * 7", "UTC", "2026-11-01", "2026-12-01") == local(
        "0 9 * * 0", "UTC", "2026-11-01", "2026-12-01"
    )
    assert local("0 9 * * 7", "UTC", "2026-11-01", "2026-11-08") == ["2026-11-01T09:00"]


def test_either_of_two_day_fields_is_enough() -> None:
    found = local("0 9 13 * 5", "UTC", "2026-11-01", "2026-12-01")

    assert [one[8:10] for one in found] == ["06", "13", "20", "27"]
    assert [one[8:10] for one in local("0 9 14 * 5", "UTC", "2026-11-01", "2026-12-01")] == [
        "06",
        "13",
        "14",
        "20",
        "27",
    ]


def test_what_has_a_star_goes_by_the_clock() -> None:
    assert len(local("*/30 2 * * *", "Europe/Berlin", "2026-10-25", "2026-10-26")) == 4
    assert local("*/30 2 * * *", "Europe/Berlin", "2026-03-29", "2026-03-30") == []


def test_asked_inside_a_repeated_hour_it_never_goes_back() -> None:
    for after in range(seconds("2026-10-24T23:30"), seconds("2026-10-25T03:00"), 300):
        for line in ("30 2 * * *", "*/30 2 * * *"):
            found = list(cron.instants(line, "Europe/Berlin", after, after + 3 * 86400))
            assert min(found) > after
            assert found == sorted(set(found))


def test_a_day_that_never_comes_is_refused_and_a_leap_day_is_not() -> None:
    with pytest.raises(ValueError, match=r"'0 9 30 2 \*' is no cron line"):
        cron.check("0 9 30 2 *")
    cron.check("0 9 29 2 *")


@pytest.mark.parametrize("line", ["@daily", "* * * *", "60 * * * *", "* * * * * * *", "0 9 * * 1-8", "a * * * *", ""])
def test_what_is_no_cron_line_is_refused_in_a_sentence(line: str) -> None:
    with pytest.raises(ValueError, match="cron line"):
        cron.check(line)


def test_a_clock_that_never_changes_shows_what_cronsim_says() -> None:
    drawn = random.Random(3)
    for _ in range(150):
        line = _line(drawn)
        start = datetime(2026, 1, 1) + timedelta(minutes=drawn.randrange(500_000))
        expected = CronSim(line, start)
        ours = cron.instants(line, "UTC", zones.count(start), zones.count(start) + 4 * 366 * 86400)
        for _n, at in zip(range(20), ours, strict=False):
            assert zones.naive(at) == next(expected), line


def _line(drawn: random.Random) -> str:
    minute = drawn.choice(["0", "*/7", "5,50", "10-12", "*"])
    hour = drawn.choice(["*", "3", "*/5", "9-17/2"])
    day = drawn.choice(["*", "1", "13", "*/2", "L", "LW", "28"])
    weekday = drawn.choice(["*", "1-5", "7", "sun", "5#2", "3L"])
    return f"{minute} {hour} {day} {drawn.choice(['*', '2', '3-5', '*/3'])} {weekday}"


def test_seconds_may_lead_a_line() -> None:
    start = seconds("2026-11-01")

    assert list(cron.instants("*/20 * * * * *", "UTC", start, start + 60)) == [start + 20, start + 40, start + 60]


def test_the_traps_are_still_there_in_apscheduler() -> None:
    """Why its cron is not used; where this fails, it was repaired."""
    zone = ZoneInfo("Europe/Berlin")
    saturday = CronTrigger.from_crontab("0 9 * * 1-5", zone).get_next_fire_time(
        None, datetime(2026, 11, 6, 10, tzinfo=zone)
    )
    assert saturday is not None
    assert saturday.isoweekday() == 6
    with pytest.raises(ValueError, match="higher than the maximum"):
        CronTrigger.from_crontab("0 9 * * 7", zone)
