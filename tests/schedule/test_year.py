"""A simulated year: 200 schedules over 12 zones with changes of clocks, holidays, freezes, crashes and clock steps,
against a walk through every minute that shares neither code nor zone tables with the product.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections import Counter

import pytest
from msgspec.structs import replace

from chaos_runner.schedule import slots
from chaos_runner.when import Cron, Hours
from tests.schedule import kit

CASES = kit.cases(200, 7)


@functools.cache
def year(n: int) -> list[slots.Slot]:
    return kit.year_of(CASES[n])


@functools.cache
def sure(n: int) -> kit.Walked:
    return kit.walked(CASES[n])


def test_every_slot_of_a_year_is_the_one_a_walk_through_all_minutes_finds() -> None:
    wrong = {n: found for n, case in enumerate(CASES) if (found := kit.complaints(case, year(n), sure(n)))}

    assert wrong == {}


def test_the_year_has_what_makes_it_hard() -> None:
    made = [slot for n in range(len(CASES)) for slot in year(n)]
    codes = Counter(reason.code for slot in made for reason in slot.refused)

    assert {case.zone for case in CASES} == set(kit.ZONES)
    assert {case.line for case in CASES} == set(kit.LINES)
    assert codes["closed"] > 100
    assert codes["does_not_fit"] > 100
    assert sum(slot.due > slot.instant for slot in made) > 1000


def test_a_daemon_that_crashes_and_misreads_time_runs_no_slot_twice_or_outside_and_accounts_for_each() -> None:
    total: Counter[str] = Counter()
    for n in range(0, len(CASES), 4):
        drawn = random.Random(n)
        daemon = kit.Daemon(CASES[n], drawn)
        for now in kit.looks(year(n), drawn):
            daemon.look(now)
        ran = [row for row in daemon.rows.values() if row.decision == "RUN"]

        assert sure(n).instants() == {at for at in daemon.rows if kit.START <= at < kit.END}
        assert [row for row in ran if not sure(n).may_begin(int(row.began))] == []
        assert all(row.why for row in daemon.rows.values() if row.decision == "SKIP")
        total += Counter(row.why or "run" for row in daemon.rows.values())

    assert total["run"] > 500
    assert {"missed", "closed", "does_not_fit", "min_gap", "max_runs", "cooldown"} <= set(total), total


# --- the walker sees what is planted ------------------------------------------------------------------------------


def caught(case: kit.Case, planted: kit.Case) -> list[str]:
    """What is said of the planted one's slots; nothing is said of the right ones."""
    known = kit.walked(case)
    assert kit.complaints(case, kit.year_of(case), known) == []
    return kit.complaints(case, kit.year_of(planted), known)


def test_a_window_that_begins_or_ends_a_minute_off_is_caught() -> None:
    case = kit.one("*/15 * * * *", "Europe/Berlin", (600, 900))
    for hours in (Hours(start=600, end=901), Hours(start=601, end=900)):
        assert len(caught(case, case._replace(almanac=replace(case.almanac, hours=hours)))) >= 365


def test_a_run_that_may_end_a_minute_late_is_caught() -> None:
    case = kit.one("45 14 * * *", "Europe/Berlin", (600, 900), worst_s=960.0)

    assert len(caught(case, case._replace(terms=slots.Terms("staging/shop", kit.SECRET, 900.0)))) == 365


@pytest.mark.parametrize(("zone", "winter"), [("Europe/Berlin", "Etc/GMT-1"), ("Australia/Lord_Howe", "Etc/GMT-11")])
def test_one_offset_for_the_whole_year_is_caught(zone: str, winter: str) -> None:
    case = kit.one("30 10 * * *", zone)

    assert len(caught(case, case._replace(almanac=replace(case.almanac, zone=winter)))) > 300


def test_a_time_that_is_shown_twice_or_never_is_no_matter_of_stars() -> None:
    case = kit.one("30 2 * * *", "Europe/Berlin")

    assert len(caught(case, case._replace(schedule=replace(case.schedule, cron=Cron(text="*/60,30 2 * * *"))))) > 2


def test_day_fields_that_must_both_fit_are_caught() -> None:
    case = kit.one("0 9 13 * 5", "America/New_York")
    made = kit.year_of(case)
    both = [slot for slot in made if slot.window.day.day == 13 and slot.window.day.weekday() == 4]

    assert kit.complaints(case, made) == []
    assert (len(made), len(both)) == (52 + 12 - 3, 3)
    assert len(kit.complaints(case, both)) == 58


def test_days_that_are_counted_from_monday_are_caught() -> None:
    case = kit.one("0 9 * * 1-5", "America/New_York")

    assert len(caught(case, case._replace(schedule=replace(case.schedule, cron=Cron(text="0 9 * * 2-6"))))) == 104


@pytest.mark.parametrize("by", [60, -60, 3600])
def test_slots_that_are_off_by_a_little_are_caught(by: int) -> None:
    case = kit.one("30 10 * * mon-fri", "Asia/Kolkata")
    made = [replace(one, instant=one.instant + by, due=one.due + by) for one in kit.year_of(case)]

    assert len(kit.complaints(case, made)) > 500


# --- coins --------------------------------------------------------------------------------------------------------


def test_a_coin_comes_up_on_one_of_so_many_workdays_and_its_minute_fits() -> None:
    case = kit.every(2.0)
    made, known = kit.year_of(case), kit.walked(case._replace(line="* * * * *"))

    assert 100 < len(made) < 160  # 261 workdays, mean 2
    assert [one for one in made if one.refused or not known.may_begin(one.due)] == []
    assert len({one.due % 86400 // 60 for one in made}) > 80
    assert all(later.instant - earlier.instant >= 82_800 for earlier, later in itertools.pairwise(made))


def test_a_group_has_one_coin_and_one_minute_and_another_group_others() -> None:
    one, other = (kit.year_of(kit.every(2.0, group=group)) for group in ("staging/shop", "staging/payments"))
    rarer = kit.year_of(kit.every(5.0, group="staging/shop"))

    assert {slot.due for slot in rarer} < {slot.due for slot in one}
    assert {slot.window.day for slot in one} != {slot.window.day for slot in other}


def test_jitter_and_coins_are_the_same_for_whoever_asks_and_wherever_they_begin() -> None:
    for case in (*(one for one in CASES[:40] if one.schedule.jitter), kit.every(2.0)):
        for slot in kit.year_of(case)[:40:3]:
            later = slots.due(case.schedule, case.almanac, slot.due - 1, slot.due + 1, case.terms)

            assert slot in later


def test_jitter_never_takes_a_run_out_of_its_window() -> None:
    case = kit.one("50 14 * * *", "Europe/Berlin", (600, 900), worst_s=300.0)
    made = kit.year_of(case._replace(schedule=replace(case.schedule, jitter=3600.0)))

    assert {one.refused for one in made} == {()}
    assert len({one.due - one.instant for one in made}) > 100
    assert max(one.due - one.instant for one in made) <= 300
